// SPDX-License-Identifier: Apache-2.0

/// All that strangers can cause: incomplete Hellos, those that wait for their turn, challenges, and half-open handshakes. What it
/// holds, and the work that it asks for, is bounded.
struct HelloAdmission {
  /// The admission's record of a handshake. Only this file changes it.
  struct Place {
    /// The counts of its source.
    fileprivate var share: SourceTally.Share?
    /// True while X1 is being read or X2 computed.
    fileprivate var isWorking = false
  }

  /// Decides on each Hello, and keeps account of the work.
  var gate: HelloGate
  private(set) var reassembly: HelloReassembly
  private(set) var challenges: ChallengeIssuer
  /// The half-open handshakes, the oldest first.
  private(set) var handshakes: [HalfOpenHandshake] = []
  private var sources = SourceTally()
  /// Those that wait for room for the work on their X2, the oldest first; some are forgotten meanwhile.
  private var unwritten = Queue<HalfOpenHandshake>()
  private let limit: Int

  /// Nobody has said Hello yet.
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
    _ header: FragmentHeader, _ payload: RawSpan, from source: Address, at now: Instant
  ) -> HelloReassembly.Outcome {
    reassembly.insert(header, payload, from: source, at: now)
  }

  /// Drops incomplete Hellos, and those that have waited too long.
  ///
  /// - Returns: how many of each.
  mutating func expire(at now: Instant) -> (incomplete: Int, waiting: Int) {
    (reassembly.expire(at: now), gate.expire(at: now))
  }

  /// Decides on a complete Hello before it costs any public-key work.
  mutating func admit(
    _ hello: [UInt8], from source: Address, _ provider: any CryptoProvider, at now: Instant
  ) -> HelloGate.Verdict {
    gate.admit(hello, from: source, &challenges, provider: provider, at: now)
  }

  /// A challenge for a Hello.
  mutating func challenge(
    to source: Address, proof: UInt64, _ provider: any CryptoProvider, at now: Instant
  ) -> ChallengeResponse {
    challenges.issue(to: source, proof: proof, provider: provider, at: now)
  }

  /// When the next Hello can be read, or something expires; nil if there is nothing.
  ///
  /// - Parameter hasRoom: true if there is room for its handshake. Finding out may look at every handshake, so it is asked
  ///   only while a Hello waits.
  func nextDeadline(hasRoom: @autoclosure () -> Bool) -> Instant? {
    let waiting = gate.waiting > 0 ? (hasRoom() ? gate.nextDeadline : gate.nextExpiry) : nil
    guard let incomplete = reassembly.nextDeadline else { return waiting }
    return waiting.map { min($0, incomplete) } ?? incomplete
  }

  // MARK: Half-open handshakes

  /// True if there is room for one more handshake, or can be made.
  var hasRoom: Bool { handshakes.count < limit || handshakes.contains(where: \.isWaitingForCompletion) }

  // [DEC-26] [FRAG-12]
  /// The handshake that makes room for another, if there are too many: the oldest of the source that
  /// has most of them. Those that are being worked on stay.
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

  /// Returns true until the handshake is forgotten.
  func contains(_ handshake: HalfOpenHandshake) -> Bool { handshake.place.share != nil }

  /// Forgets a handshake. What it waits for room for is not done.
  ///
  /// - Returns: whether it was there.
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

  /// Takes out a handshake for whose X2 there is room now. They come before other Hellos, whose work is yet to begin.
  mutating func nextUnwritten() -> HalfOpenHandshake? {
    while gate.hasRoomForWork, let handshake = unwritten.popFromLong() {
      if contains(handshake) { return handshake }
    }
    return nil
  }

  /// Takes out the Hello whose turn it is, if there is time for it.
  mutating func nextHello(at now: Instant) -> HelloQueue.Item? { gate.next(at: now) }

  /// Work on X1 or X2 begins.
  mutating func beginWork(on handshake: HalfOpenHandshake) {
    handshake.place.isWorking = true
    gate.workBegan()
  }

  /// Work on X1 or X2 is under way no longer, if it was.
  mutating func endWork(on handshake: HalfOpenHandshake) {
    guard handshake.place.isWorking else { return }
    handshake.place.isWorking = false
    gate.workEnded()
  }

  // MARK: What handshakes of one peer know of each other

  /// Whether the store may be changing on behalf of a handshake of the peer.
  func isStoring(_ peer: PublicKey) -> Bool { handshakes.contains { $0.ratchetPeer == peer && $0.isStoring } }

  // [DEC-66]
  /// The handshakes that asked what is held for a peer whose row is about to change. What is answered later is no ground for
  /// an X2; the Hello comes again.
  func unverified(_ peer: PublicKey) -> [HalfOpenHandshake] {
    handshakes.filter { $0.ratchetPeer == peer && $0.isVerifying }
  }

  /// The handshakes of a peer.
  func handshakes(of peer: PublicKey) -> [HalfOpenHandshake] { handshakes.filter { $0.ratchetPeer == peer } }

  /// The handshake for which the application was asked under this id.
  func handshake(acceptedBy id: RequestID) -> HalfOpenHandshake? { handshakes.first { $0.acceptance == id } }
}
