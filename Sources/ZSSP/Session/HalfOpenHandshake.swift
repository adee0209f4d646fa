// SPDX-License-Identifier: Apache-2.0

/// The responder's side of a handshake, from a complete X1 until it leads to a session (sections 6
/// and 11).
///
/// | state | what it waits for | what ends it |
/// |---|---|---|
/// | reading X1 | the public-key work | authentic: looking up; unwritten if it names no state |
/// | looking up | the store: the fingerprints' owner | verifying; unwritten with the empty state |
/// | verifying | the store: that peer's row | revoking, or unwritten |
/// | revoking | the store: the state that X2 will not be based on is revoked | unwritten |
/// | unwritten | room for the work on X2 | responding |
/// | responding | the public-key work | X2 is sent: B2 |
/// | B2 | X3 | a complete X3: reading X3 |
/// | reading X3 | the public-key work | X3 is authentic: asking; otherwise B2 |
/// | asking | the application | loading; D is sent |
/// | loading | the store: the peer's row | storing; B2 if the store fails; D is sent |
/// | storing | the store: the new state is stored | a session in S1; B2 if the store fails |
///
/// In each state the handshake is forgotten after a timeout.
final class HalfOpenHandshake: TimerEntry, ReassemblyHolder, Waiting {
  private enum State {
    case readingHello
    case lookingUp(ResponderHandshake.Hello)
    case verifying(ResponderHandshake.Hello)
    /// The name is that of the state which X2 will not be based on.
    case revoking(ResponderHandshake.Hello, Fingerprint)
    case unwritten(ResponderHandshake.Hello, RatchetState)
    case responding(ResponderHandshake.Hello)
    /// B2.
    case waiting(ResponderHandshake.Response)
    /// The response stays in case X3 is not authentic, here, and in the states below in case the
    /// store fails.
    case readingCompletion(ResponderHandshake.Response)
    case asking(ResponderHandshake.Response, ResponderHandshake.Completion)
    case loading(ResponderHandshake.Response, ResponderHandshake.Completion, SecurityFlags)
    case storing(ResponderHandshake.Response, ResponderHandshake.Completion, Change)
  }

  /// The new pair for the store.
  private struct Change {
    let new: RatchetPair
    /// The chain length of the state that was held, if the peer came back without its ratchet
    /// state; otherwise nil.
    let downgradedFrom: UInt64?
    /// The revision of the peer's row when it was loaded.
    let revision: UInt64
  }

  /// The source that the handshake counts for.
  let source: HelloSource
  /// The source of X1, which X2 is sent to; after a complete X3, its source.
  private(set) var address: Address
  private var state = State.readingHello
  /// True in B2 proper, when the handshake may be evicted.
  var isWaitingForCompletion: Bool {
    if case .waiting = state { true } else { false }
  }
  /// The state's name for traces: a step before B2, or B2.
  var stateName: String {
    switch state {
    case .readingHello: "reading X1"
    case .lookingUp: "looking up"
    case .verifying: "verifying"
    case .revoking: "revoking"
    case .unwritten: "waiting to write X2"
    case .responding: "writing X2"
    case .waiting: "B2"
    case .readingCompletion: "reading X3"
    case .asking: "asking"
    case .loading: "loading"
    case .storing: "storing"
    }
  }
  /// kid_A, after X1 was read.
  private var initiatorKeyID = KeyID.none
  /// kid_B, from B2 on.
  private(set) var keyID = KeyID.none
  private var headerKeys: HeaderKeyPair?
  /// The peer for which the store has the ratchet state that is used.
  private(set) var ratchetPeer: PublicKey?
  /// The outcomes that the peer has abandoned since. An X3 that leads to one of them is too late.
  private var revoked = RevokedStates()
  /// The revision of the peer's row before X2; nil if the peer was unknown then.
  private var revision: UInt64?
  /// The mark of the X2 in the order of events.
  private var answeredAt = PeerDirectory.Mark.first
  /// The time when the first authentic X3 was read.
  private var firstCompletion: Instant?
  /// The number of X3 that were read and were not authentic.
  private var forgedBodies = 0
  /// The id of the accept request; it must be followed by a session or by
  /// ``Event/withdrawn(_:_:)``.
  private(set) var acceptance: RequestID?
  /// A downgrade that the store may hold by now, and that was not reported yet.
  private var unreportedDowngrade: (peer: PublicKey, heldChainLength: UInt64)?
  /// The mark of the swap that was requested.
  private var swap = PeerDirectory.Mark.first
  /// The time when the handshake is forgotten.
  private(set) var expiry: Instant
  /// True if the handshake has expired, and waits only for the answer of the store.
  private var isAbandoned = false
  /// The payment for the public-key work.
  private var payment: HelloPayment

  var ticket = PendingOperations.Ticket()
  /// The fragments of X3.
  var reassembly: SessionReassembly
  var reassemblyPlace = ReassemblyMemory.Place()
  /// The handshake's record in ``HelloAdmission``.
  var place = HelloAdmission.Place()

  /// The largest size of an incomplete X3, in bytes.
  static let reassemblyLimit = 1 << 14

  /// Creates a handshake whose X1 is complete and admitted.
  ///
  /// - Parameter allowance: the budget for the work. The first item of work is already charged to
  ///   it.
  init(
    address: Address, allowance: HelloGate.Allowance = .unlimited, settings: Settings, at now: Instant
  ) {
    self.address = address
    payment = HelloPayment(allowance)
    source = HelloSource(address)
    // [TIME-3] [TIME-9]
    expiry = now.advanced(by: settings.handshakeTimeout)
    // [DEC-9] [FRAG-11]
    reassembly = SessionReassembly(
      limits: .init(
        packets: 1, bytes: Self.reassemblyLimit, packetBytes: PacketSize.largestCompletion, beginsAnew: true),
      timeout: settings.reassemblyTimeout)
  }

  /// The earliest deadline of everything that the handshake waits for.
  var nextDeadline: Instant { min(expiry, reassembly.nextDeadline ?? .distantFuture) }

  /// True if the store was requested to load the peer's row, for an X2.
  var isVerifying: Bool {
    switch state {
    case .verifying, .revoking: true
    default: false
    }
  }

  /// True if the store may be changing on behalf of the handshake.
  var isStoring: Bool {
    if case .storing = state { true } else { false }
  }

  // MARK: X1

  /// Reads X1.
  ///
  /// - Parameter packet: X1. Its challenge response is ignored.
  func begin(_ packet: [UInt8], configuration: EndpointConfiguration) -> [Step] {
    let staticKey = configuration.staticKey
    let profile = configuration.profile
    let provider = configuration.provider
    return [
      .work(.helloReceived) { () throws(AuthenticationFailure) in
        try ResponderHandshake.hello(packet, staticKey: staticKey, profile: profile, provider: provider)
          .map { .helloReceived($0) }
      }
    ]
  }

  private func helloRead(
    _ hello: ResponderHandshake.Hello, in surroundings: Surroundings, at now: Instant
  ) -> [Step] {
    initiatorKeyID = hello.initiatorKeyID
    guard !hello.fingerprint1.isEmpty || !hello.fingerprint2.isEmpty else {
      return respondToUnknown(hello, in: surroundings, at: now)
    }
    state = .lookingUp(hello)
    // Upstream never looks up the second (section 12).
    // [XK-11]
    return [.ask(.lookUp(hello.fingerprint1, second: hello.fingerprint2))]
  }

  /// Answers a Hello whose fingerprints are both unknown: not at all with π1, otherwise with the
  /// empty state. The peer then abandons the state that it named first, so an attempt that leads to
  /// that state must fail. Such an attempt was an unknown peer's, too.
  private func respondToUnknown(
    _ hello: ResponderHandshake.Hello, in surroundings: Surroundings, at now: Instant
  ) -> [Step] {
    // [MODE-1] [XK-12]
    guard !surroundings.configuration.flags.contains(.helloRequiresRatchet) else { return [.forget(.unknownRatchet)] }
    let directory = surroundings.directory
    // The store may be storing a named state at this moment: then the peer is known. It resends the
    // Hello.
    let isStoring = [hello.fingerprint1, hello.fingerprint2].contains { directory.isStoring($0, at: now) }
    let end = now.advanced(by: surroundings.settings.handshakeTimeout)
    // [DEC-65] [DEC-71]
    guard !isStoring, directory.leaveBehind(hello.fingerprint1, until: end, at: now) else { return [.forget(.busy)] }
    // [XK-13]
    return respond(to: hello, using: .empty, in: surroundings)
  }

  /// Answers a Hello after a fingerprint was found. `held` is the row of its owner after every
  /// change that was requested before.
  ///
  /// While another attempt of that peer is being stored, the row may soon hold the state of the
  /// other fingerprint.
  ///
  /// An initiator that names two states abandons, when it receives X2, the one that X2 is not based
  /// on. So the store first revokes that one, unless the row holds it: no attempt may lead to it
  /// any more, here or at another endpoint with this store. Otherwise the two stores could end up
  /// without a common state (section 14).
  ///
  /// - Parameters:
  ///   - name: the name that the store has revoked for this Hello. The row may have changed since,
  ///     so that X2 abandons another state.
  ///   - isStoring: returns true if another handshake of a peer is being stored.
  private func respond(
    to hello: ResponderHandshake.Hello, holding held: RatchetPair, at revision: UInt64, revoked name: Fingerprint?,
    in surroundings: Surroundings, isStoring: (PublicKey) -> Bool
  ) -> [Step] {
    // [DEC-67]
    guard let ratchet = held.common(hello.fingerprint1, hello.fingerprint2), let peer = ratchetPeer else {
      // The row has changed since the look-up, so the peer is known. It resends the Hello.
      return [.forget(.busy)]
    }
    // [DEC-66]
    guard !isStoring(peer) else { return [.forget(.busy)] }
    var steps: [Step] = []
    let other = ratchet.fingerprint == hello.fingerprint1 ? hello.fingerprint2 : hello.fingerprint1
    if !other.isEmpty, held.state(other) == nil {
      // [DEC-63]
      guard name == other else {
        state = .revoking(hello, other)
        return [.ask(.revoke(other, peer: peer))]
      }
      steps.append(.revoke(other, of: peer))
    }
    self.revision = revision
    return steps + respond(to: hello, using: ratchet, in: surroundings)
  }

  /// Queues the handshake until there is room for the work on X2.
  private func respond(
    to hello: ResponderHandshake.Hello, using ratchet: RatchetState, in surroundings: Surroundings
  ) -> [Step] {
    // [DEC-45]
    answeredAt = surroundings.directory.nextMark()
    state = .unwritten(hello, ratchet)
    return [.waitForRoom]
  }

  /// True if the work needs no room.
  var isUnlimited: Bool { payment.allowance == .unlimited }

  /// Begins the work on X2, if the handshake waits for room for it.
  func writeResponse(_ configuration: EndpointConfiguration) -> [Step] {
    guard case .unwritten(let hello, let ratchet) = state else { return [] }
    state = .responding(hello)
    let profile = configuration.profile
    let provider = configuration.provider
    return [
      .work(.response) {
        ResponderHandshake.response(to: hello, using: ratchet, profile: profile, provider: provider)
          .map { .response($0) }
      }
    ]
  }

  /// Completes X2 with the id of this side's key, and enters B2.
  private func enterB2(
    _ hello: ResponderHandshake.Hello, response: ResponderHandshake.Response, drawKeyID: () -> KeyID
  ) -> [Step] {
    var response = response
    // [XK-14]
    keyID = drawKeyID()
    let packet = response.finish(keyID: keyID)
    state = .waiting(response)
    headerKeys = HeaderKeyPair(hello.headerKeys, role: .responder)
    // The packet-nonce counter is the last 3 bytes of the packet (section 4).
    // [PKT-7]
    let counter = packet.rawBytes.load(UInt32.self, at: packet.count - 4) & 0xFF_FFFF
    // [DEC-28] [TIME-3] [XK-17]
    return [
      .send(OutgoingPacket(type: .response, counter: UInt64(counter), keyID: initiatorKeyID, bytes: packet))
    ]
  }

  // [DEC-64]
  /// Records that the peer has begun a handshake without the state of this name.
  func revoke(_ name: Fingerprint) { revoked.insert(name) }

  // MARK: X3

  /// Returns the key that removes the header protection of X3; nil if no X3 is expected.
  func headerReceivingKey(_ provider: any CryptoProvider) -> (any HeaderKey)? {
    // [DEC-5]
    guard isWaitingForCompletion, let key = headerKeys?.receivingKey(provider) else { return nil }
    headerKeys?.keep(receiving: key)
    return key
  }

  /// Returns the key that protects headers; nil before B2.
  func headerSendingKey(_ provider: any CryptoProvider) -> (any HeaderKey)? { headerKeys?.makeSendingKey(provider) }

  /// Processes a complete X3. The handshake accepts no other while this one is being read, and none
  /// after one was authentic (section 6).
  func completionReceived(
    _ packet: [UInt8], from source: Address, gate: inout HelloGate, provider: any CryptoProvider, at now: Instant
  ) throws(Dropped) -> [Step] {
    // [DEC-5] [XK-34]
    guard case .waiting(let response) = state else { throw Dropped(.busy) }
    let sizes = PacketSize.completionWithoutIdentity...PacketSize.largestCompletion
    // [PKT-6]
    guard sizes.contains(packet.count) else { throw Dropped(.malformed) }
    guard payment.payBody(&gate, at: now) else { throw Dropped(.overBudget) }
    state = .readingCompletion(response)
    // Anybody can repeat X1. Nothing is sent to this address before an X3 was authentic.
    // [DEC-29]
    address = source
    // [DEC-7] [XK-27]
    return [
      .forgetIncomplete,
      .work(.completionReceived) { () throws(AuthenticationFailure) in
        try ResponderHandshake.completion(of: response, packet, provider: provider).map { .completionReceived($0) }
      },
    ]
  }

  /// Processes an authentic X3.
  private func completionRead(
    _ response: ResponderHandshake.Response, completion: ResponderHandshake.Completion,
    in surroundings: Surroundings, at now: Instant
  ) -> [Step] {
    if let steps = hindrance(response, completion: completion, in: surroundings, at: now) { return steps }
    state = .asking(response, completion)
    // [XK-28]
    return [
      .askApplication(
        AcceptRequest(
          peer: completion.initiator.encoded, identity: completion.identity, address: address,
          hasRatchet: !response.used.isEmpty, ratchetPeer: ratchetPeer))
    ]
  }

  /// Records the id of the accept request.
  func asked(_ id: RequestID) { acceptance = id }

  /// Returns the steps for a handshake that cannot continue after its X3: it is forgotten, or waits
  /// for the next X3. Nil if it can continue.
  private func hindrance(
    _ response: ResponderHandshake.Response, completion: ResponderHandshake.Completion,
    in surroundings: Surroundings, at now: Instant
  ) -> [Step]? {
    let outcome = completion.secrets.ratchet.fingerprint
    // [DEC-64] [DEC-65] [DEC-70]
    guard revoked.allows(outcome, since: 0), !surroundings.directory.isLeftBehind(outcome, at: now) else {
      return [.forget(.superseded)]
    }
    let first = firstCompletion ?? now
    firstCompletion = first
    // [DEC-43] [DEC-45]
    let peer = completion.initiator.encoded
    switch surroundings.precedence(ofHandshakeFrom: peer, answeredAt: answeredAt, readAt: first, at: now) {
    case .proceed: return nil
    case .refuse: return [.forget(.superseded)]
    case .wait(let lastResend):
      surroundings.directory.limitResends(to: peer, until: lastResend)
      state = .waiting(response)
      return [.drop(.busy)] + withdraw(.busy)
    }
  }

  /// Processes an X3 that is not authentic. The responder waits for a genuine X3, as the initiator
  /// waits for a genuine X2, up to a number of attempts (section 14).
  private func completionFailed(_ response: ResponderHandshake.Response, settings: Settings) -> [Step] {
    // [DEC-3] [DEC-4]
    forgedBodies += 1
    guard forgedBodies < settings.bodiesPerHandshake else { return [.forget(.notAuthentic)] }
    state = .waiting(response)
    return [.drop(.notAuthentic)]
  }

  /// Returns the step that tells the application that its accept request leads to no session, if
  /// there was a request.
  private func withdraw(_ reason: DropReason) -> [Step] { acceptance.take().map { [.withdraw($0, reason)] } ?? [] }

  // MARK: The application

  /// Processes the application's decision.
  func decided(_ decision: AcceptDecision, provider: any CryptoProvider) -> [Step] {
    guard case .asking(let response, let completion) = state else { return [] }
    switch decision {
    case .accept(let flags):
      state = .loading(response, completion, flags)
      // [XK-29]
      return [.ask(.load(peer: completion.initiator.encoded))]
    case .reject(let silently): return reject(completion, silently: silently, provider: provider)
    }
  }

  /// Sends D with counter 0 unless `silently`, and forgets the handshake.
  private func reject(
    _ completion: ResponderHandshake.Completion, silently: Bool, provider: any CryptoProvider
  ) -> [Step] {
    // [MODE-4] [XK-33]
    guard !silently else { return [.forget(.refused)] }
    var packet = [UInt8](repeating: 0, count: PacketSize.tag)
    let key = provider.packetKey(completion.secrets.exchangeKeys.sending(.responder))
    packet.withMutableBytes {
      key.seal(RawSpan(), nonce: Nonce(.rejected, counter: 0), authenticating: RawSpan(), into: &$0)
    }
    return [
      .send(OutgoingPacket(type: .rejected, counter: 0, keyID: initiatorKeyID, bytes: packet)), .forget(.refused),
    ]
  }

  /// Cancels the acceptance by the application, or its pending request.
  ///
  /// - Returns: true if it was in time: the store was not requested to store anything.
  func cancel() -> Bool {
    guard !isStoring else { return false }
    acceptance = nil
    return true
  }

  // MARK: The new state

  /// Stores the new state, if the ratchet state that was used belongs to this peer. If it does not,
  /// the handshake continues only if the state used is the empty one and π3 allows it.
  ///
  /// If the row holds a newer state than the one used, that is the state of an attempt in the other
  /// direction, which the peer may have accepted as we accept this one. It stays until the peer has
  /// confirmed. Otherwise the two stores could end up without a common state (section 14).
  private func store(
    _ response: ResponderHandshake.Response, completion: ResponderHandshake.Completion, flags: SecurityFlags,
    beside held: RatchetPair, at revision: UInt64, in surroundings: Surroundings, at now: Instant
  ) -> [Step] {
    let ratchet = completion.secrets.ratchet
    let peer = completion.initiator.encoded
    let directory = surroundings.directory
    let change: Change
    // [DEC-76]
    if held.state1 == ratchet {
      // The store holds it already, by a swap that was answered as a failure.
      change = Change(new: held, downgradedFrom: unreportedDowngrade?.heldChainLength, revision: revision)
    } else if held.state1 == response.used {
      // [XK-31]
      change = Change(new: RatchetPair(ratchet), downgradedFrom: nil, revision: revision)
    } else if held.state2 == response.used {
      // [DEC-74]
      change = Change(new: RatchetPair(ratchet, held.state1), downgradedFrom: nil, revision: revision)
    } else if response.used.isEmpty, !flags.contains(.responderDisallowsDowngrade) {
      // [DEC-82]
      // A peer that has answered with a state since this X2 has not lost its states. It has
      // abandoned this attempt (section 14).
      guard directory.lastAnswer(of: peer) < answeredAt else { return [.forget(.superseded)] }
      // [XK-30]
      change = Change(new: RatchetPair(ratchet), downgradedFrom: held.state1.chainLength, revision: revision)
    } else {
      // [MODE-3] [MODE-4] [XK-29]
      return reject(
        completion, silently: flags.contains(.responderRejectsSilently), provider: surroundings.provider)
    }
    state = .storing(response, completion, change)
    // From now on the store may hold the state, whatever happens to the answer and the handshake.
    unreportedDowngrade = change.downgradedFrom.map { (peer, $0) }
    // [DEC-71]
    let settings = surroundings.settings
    directory.recordStoring(
      ratchet.fingerprint, until: now.advanced(by: settings.handshakeTimeout + settings.rekeyTimeout), at: now)
    swap = directory.nextMark()
    return [.ask(.compareAndSwap(peer: peer, expected: held, new: change.new, since: self.revision ?? revision))]
  }

  /// Records the answer of the store, if it is to a swap. An earlier look-up may be answered after
  /// this.
  private func recordSwapAnswer(_ answer: StoreAnswer, in surroundings: Surroundings, at now: Instant) {
    guard case .storing(_, let completion, _) = state else { return }
    let name = completion.secrets.ratchet.fingerprint
    if case .notSwapped = answer { return surroundings.directory.endStoring(name) }
    let end = now.advanced(by: surroundings.settings.handshakeTimeout)
    surroundings.directory.recordStoring(name, until: end, at: now)
  }

  /// Returns the session of an accepted peer whose new ratchet state is stored. It begins with C1.
  private func establish(_ completion: ResponderHandshake.Completion, change: Change, directory: PeerDirectory)
    -> [Step]
  {
    let peer = completion.initiator.encoded
    // [DEC-47]
    guard directory.progress(of: peer) <= swap, let headerKeys else { return [.forget(.superseded)] }
    unreportedDowngrade = nil
    let key = SessionKey(
      completion.secrets, role: .responder, localID: keyID, remoteID: initiatorKeyID, firstCounter: 0)
    return [
      .establish(
        Outcome(
          peer: peer,
          acceptance: Session.Acceptance(
            identity: completion.identity, address: address, headerKeys: headerKeys, key: key,
            held: HeldStates(change.new, revision: change.revision, swap: swap),
            downgradedFrom: change.downgradedFrom, request: acceptance)))
    ]
  }

  // MARK: Answers

  /// Processes the result of public-key work.
  func completed(
    _ outcome: PublicKeyResult.Outcome, in surroundings: Surroundings, at now: Instant, drawKeyID: () -> KeyID
  ) -> [Step] {
    switch (state, outcome) {
    case (.readingHello, .helloReceived(let hello)): return helloRead(hello, in: surroundings, at: now)
    case (.responding(let hello), .response(let response)):
      let steps = enterB2(hello, response: response, drawKeyID: drawKeyID)
      #if KeyLog
        if case .waiting(let finished) = state {
          surroundings.configuration.keyLog?.record(hello, finished, responderKeyID: keyID)
        }
      #endif
      return steps
    case (.readingCompletion(let response), .completionReceived(let completion)):
      #if KeyLog
        if let headers = headerKeys?.directional(.responder) {
          surroundings.configuration.keyLog?.record(
            completion.secrets, initiatorKeyID, keyID, headers: headers, role: .responder)
        }
      #endif
      return completionRead(response, completion: completion, in: surroundings, at: now)
    case (.readingCompletion(let response), _): return completionFailed(response, settings: surroundings.settings)
    // [XK-9]
    default: return [.forget(.notAuthentic)]
    }
  }

  /// Processes an answer of the store.
  ///
  /// - Parameter isStoring: returns true if another handshake of a peer is being stored.
  func answered(
    _ answer: StoreAnswer, in surroundings: Surroundings, at now: Instant, isStoring: (PublicKey) -> Bool
  ) -> [Step] {
    recordSwapAnswer(answer, in: surroundings, at: now)
    if isAbandoned {
      if case .notSwapped = answer { unreportedDowngrade = nil }
      return [.forget(nil)]
    }
    switch (state, answer) {
    case (.lookingUp(let hello), .found(_, let peer)):
      ratchetPeer = peer
      state = .verifying(hello)
      // [DEC-66]
      return [.ask(.load(peer: peer))]
    case (.verifying(let hello), .pair(let held, let revision)):
      return respond(to: hello, holding: held, at: revision, revoked: nil, in: surroundings, isStoring: isStoring)
    case (.revoking(let hello, let name), .pair(let held, let revision)):
      return respond(to: hello, holding: held, at: revision, revoked: name, in: surroundings, isStoring: isStoring)
    case (.lookingUp(let hello), .unknown): return respondToUnknown(hello, in: surroundings, at: now)
    case (.loading(let response, let completion, let flags), .pair(let held, let revision)):
      return hindrance(response, completion: completion, in: surroundings, at: now)
        ?? store(response, completion: completion, flags: flags, beside: held, at: revision, in: surroundings, at: now)
    case (.storing(_, let completion, let change), .swapped):
      return establish(completion, change: change, directory: surroundings.directory)
    case (.storing, .notSwapped):
      unreportedDowngrade = nil
      // [RAT-8]
      return [.forget(.ratchetConflict)]
    case (.loading(let response, _, _), _), (.storing(let response, _, _), _):
      // Nothing has changed: back to B2, where the initiator's next X3 is accepted (section 9).
      // [DEC-10] [RAT-9]
      state = .waiting(response)
      return [.drop(.storeFailed)] + withdraw(.storeFailed)
    default: return [.forget(.storeFailed)]
    }
  }

  /// Records that a request will not be answered, because the driver is too busy. The handshake is
  /// forgotten at once, unless the request was to read an X3: then it waits for the next one.
  func refused(_ gate: inout HelloGate) -> [Step] {
    // [DEC-11]
    guard case .readingCompletion(let response) = state else { return [.forget(.busy)] }
    payment.cancelBody(&gate)
    state = .waiting(response)
    return [.drop(.busy)]
  }

  // [DEC-55]
  /// Settles the processor time of completed work; nil if it is unknown.
  func settle(took time: Duration?, _ gate: inout HelloGate, at now: Instant) {
    if case .readingCompletion = state {
      payment.settleBody(took: time, &gate, at: now)
    } else if let time {
      payment.settleHello(took: time, &gate, at: now)
    }
  }

  // MARK: The end

  // [TIME-3]
  /// Processes the expiry of the handshake. While the store has an open request the handshake
  /// stays, so that a Hello that names its outcome is not treated as a stranger's.
  func expired(_ settings: Settings, at now: Instant) -> [Step] {
    let news = withdraw(.handshakeTimeout)
    // [DEC-72]
    guard isStoring, !isAbandoned else { return news + [.forget(nil)] }
    isAbandoned = true
    expiry = now.advanced(by: settings.rekeyTimeout)
    return news
  }

  /// Ends the handshake, and refunds the time reserved for its work.
  ///
  /// - Returns: the id of the accept request, if there was one.
  func end(_ gate: inout HelloGate) -> RequestID? {
    payment.end(&gate)
    return acceptance.take()
  }

  // [DEC-73]
  /// Removes and returns the downgrade that the store may hold and that was not reported.
  func takeUnreportedDowngrade() -> (peer: PublicKey, heldChainLength: UInt64)? { unreportedDowngrade.take() }
}
