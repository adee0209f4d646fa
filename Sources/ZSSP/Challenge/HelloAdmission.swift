// SPDX-License-Identifier: Apache-2.0

/// Everything that strangers can cause: incomplete Hellos, queued Hellos, challenges, and half-open
/// handshakes. Its memory and the work that it starts are bounded.
struct HelloAdmission {
  /// The admission's record of a handshake. Only this file changes it.
  struct Place {
    /// The counts of its source.
    fileprivate var share: SourceTally.Share?
    /// True while X1 is being read or X2 computed.
    fileprivate var isWorking = false
  }

  /// Decides on each Hello, and accounts for the work.
  var gate: HelloGate
  private(set) var reassembly: HelloReassembly
  private(set) var challenges: ChallengeIssuer
  /// The half-open handshakes, the oldest first.
  private(set) var handshakes: [HalfOpenHandshake] = []
  private var sources = SourceTally()
  /// Handshakes that wait for room for the work on their X2, the oldest first. Some may be removed
  /// from ``handshakes`` meanwhile.
  private var unwritten = Queue<HalfOpenHandshake>()
  private let limit: Int

  /// Creates an admission without Hellos or handshakes.
  ///
  /// - Parameter salt: 32 random bytes.
  init(_ configuration: EndpointConfiguration, salt: Secret) {
    let settings = configuration.settings
    limit = settings.halfOpenLimit
    reassembly = HelloReassembly(
      limits: .init(packets: settings.helloLimit, fragments: settings.helloFragmentLimit),
      timeout: settings.reassemblyTimeout)
    challenges = ChallengeIssuer(salt: salt)
    gate = HelloGate(
      policy: configuration.helloPolicy, isSilent: configuration.flags.contains(.helloRequiresRatchet),
      workLimit: settings.helloWorkLimit, patience: settings.handshakeTimeout / 2, salt: salt)
  }

  /// The number of half-open handshakes.
  var count: Int { handshakes.count }

  // MARK: Hellos

  /// Takes in a fragment of a Hello.
  mutating func insert(
    _ header: FragmentHeader, payload: RawSpan, from source: Address, at now: Instant
  ) -> HelloReassembly.Outcome {
    reassembly.insert(header, payload: payload, from: source, at: now)
  }

  /// Drops incomplete Hellos, and queued Hellos that have waited too long.
  ///
  /// - Returns: the number of each.
  mutating func expire(at now: Instant) -> (incomplete: Int, waiting: Int) {
    (reassembly.expire(at: now), gate.expire(at: now))
  }

  /// Decides on a complete Hello before it costs any public-key work.
  mutating func admit(
    _ hello: [UInt8], from source: Address, provider: any CryptoProvider, at now: Instant
  ) -> HelloGate.Verdict {
    gate.admit(hello, from: source, issuer: &challenges, provider: provider, at: now)
  }

  /// Returns a challenge for a Hello.
  mutating func challenge(
    to source: Address, proof: UInt64, _ provider: any CryptoProvider, at now: Instant
  ) -> ChallengeResponse {
    challenges.issue(to: source, proof: proof, provider: provider, at: now)
  }

  /// Returns when the next Hello can be read or something expires; nil if nothing waits.
  ///
  /// - Parameter hasRoom: returns true if there is room for the Hello's handshake. It may look at
  ///   every handshake, so it is evaluated only while a Hello waits.
  func nextDeadline(hasRoom: @autoclosure () -> Bool) -> Instant? {
    let waiting = gate.waiting > 0 ? (hasRoom() ? gate.nextDeadline : gate.nextExpiry) : nil
    guard let incomplete = reassembly.nextDeadline else { return waiting }
    return waiting.map { min($0, incomplete) } ?? incomplete
  }

  // MARK: Half-open handshakes

  /// True if there is room for one more handshake, or if an eviction can make room.
  var hasRoom: Bool { handshakes.count < limit || handshakes.contains(where: \.isWaitingForCompletion) }

  // [DEC-26] [FRAG-12]
  /// The handshake to evict before another is added; nil below the limit. It is the oldest
  /// handshake of the source with the most handshakes. Handshakes whose work is under way are not
  /// evicted.
  var victim: HalfOpenHandshake? {
    guard handshakes.count >= limit else { return nil }
    var heaviest: (handshake: HalfOpenHandshake, weight: SourceCensus.Weight)?
    for handshake in handshakes where handshake.isWaitingForCompletion {
      guard let weight = handshake.place.share?.weight else { continue }
      if let held = heaviest?.weight, weight <= held { continue }
      heaviest = (handshake, weight)
    }
    return heaviest?.handshake
  }

  /// Adds a handshake.
  mutating func add(_ handshake: HalfOpenHandshake) {
    handshake.place.share = sources.add(handshake.source)
    handshakes.append(handshake)
  }

  /// Returns true until the handshake is removed.
  func contains(_ handshake: HalfOpenHandshake) -> Bool { handshake.place.share != nil }

  /// Removes a handshake. Its queued work on an X2 will not begin.
  ///
  /// - Returns: true if the handshake was present.
  mutating func remove(_ handshake: HalfOpenHandshake) -> Bool {
    endWork(on: handshake)
    guard handshake.place.share.take() != nil else { return false }
    sources.remove(handshake.source)
    handshakes.removeAll { $0 === handshake }
    return true
  }

  // [DEC-81]
  /// Returns true if the work on an X2 may begin; if not, queues the handshake.
  mutating func mayWriteResponse(_ handshake: HalfOpenHandshake) -> Bool {
    guard !gate.hasRoomForWork, !handshake.isUnlimited else { return true }
    unwritten.push(handshake)
    return false
  }

  /// Removes and returns a queued handshake if there is room for the work on its X2. These
  /// handshakes come before queued Hellos, whose work has not begun.
  mutating func nextUnwritten() -> HalfOpenHandshake? {
    while gate.hasRoomForWork, let handshake = unwritten.popFromLong() {
      if contains(handshake) { return handshake }
    }
    return nil
  }

  /// Removes and returns the Hello whose turn it is, if there is time for it.
  mutating func nextHello(at now: Instant) -> HelloQueue.Item? { gate.next(at: now) }

  /// Records that work on X1 or X2 begins.
  mutating func beginWork(on handshake: HalfOpenHandshake) {
    handshake.place.isWorking = true
    gate.workBegan()
  }

  /// Records that work on X1 or X2 ended. Does nothing if none was under way.
  mutating func endWork(on handshake: HalfOpenHandshake) {
    guard handshake.place.isWorking else { return }
    handshake.place.isWorking = false
    gate.workEnded()
  }

  // MARK: Handshakes of one peer

  /// Returns true if the store may be changing on behalf of a handshake of the peer.
  func isStoring(_ peer: PublicKey) -> Bool { handshakes.contains { $0.ratchetPeer == peer && $0.isStoring } }

  // [DEC-66]
  /// Returns the handshakes that have requested the row of a peer, for use when the row is about to
  /// change: an answer that arrives afterwards must not lead to an X2. The initiator resends its
  /// Hello.
  func unverified(_ peer: PublicKey) -> [HalfOpenHandshake] {
    handshakes.filter { $0.ratchetPeer == peer && $0.isVerifying }
  }

  /// Returns the handshakes of a peer.
  func handshakes(of peer: PublicKey) -> [HalfOpenHandshake] { handshakes.filter { $0.ratchetPeer == peer } }

  /// Returns the handshake whose accept request has this id.
  func handshake(acceptedBy id: RequestID) -> HalfOpenHandshake? { handshakes.first { $0.acceptance == id } }
}
