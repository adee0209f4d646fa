// SPDX-License-Identifier: Apache-2.0

/// Bob's side of a handshake, from a complete X1 until he has a session (sections 6 and 11).
///
/// | state | what it waits for | what ends it |
/// |---|---|---|
/// | reading X1 | the public-key work | X1 is authentic: looking up; responding if it names no state |
/// | looking up | the store: whose are the two fingerprints? | loading, or responding with the empty state |
/// | verifying | the store: what is held for that peer now? | revoking, or responding |
/// | revoking | the store: the state that X2 will not be based on is revoked | responding |
/// | unwritten | room for the work on X2 | responding |
/// | responding | the public-key work | X2 is sent: B2 |
/// | B2 | X3 | a complete X3: reading X3 |
/// | reading X3 | the public-key work | X3 is authentic: asking; else B2 |
/// | asking | the application | loading; D is sent |
/// | loading | the store: what is held for the peer? | storing; B2 if the store fails; D is sent |
/// | storing | the store: the new state is held | a session in S1; B2 if the store fails |
///
/// It is forgotten when it takes too long, in any of them.
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
    /// The response is kept for the case that X3 is not authentic, here and below that the store fails.
    case readingCompletion(ResponderHandshake.Response)
    case asking(ResponderHandshake.Response, ResponderHandshake.Completion)
    case loading(ResponderHandshake.Response, ResponderHandshake.Completion, SecurityFlags)
    case storing(ResponderHandshake.Response, ResponderHandshake.Completion, Change)
  }

  /// What the store is asked to hold.
  private struct Change {
    let new: RatchetPair
    /// The chain length of the state that was held when the peer came back without its ratchet, if it did.
    let downgradedFrom: UInt64?
    /// The revision of the peer's row from which it is stored.
    let revision: UInt64
  }

  /// What a handshake wants done after an input. ``Endpoint`` does it, in order.
  enum Step {
    case ask(StoreRequest)
    case work(PublicKeyWork.Kind, Action.Job)
    /// Ask the application.
    case askApplication(AcceptRequest)
    /// Wait until there is room for the work on X2.
    case waitForRoom
    /// Send a packet to where the handshake is.
    case send(OutgoingPacket)
    /// Nothing that this endpoint does itself may lead to the state of this name, of this peer.
    case revoke(Fingerprint, of: PublicKey)
    /// Forget an incomplete X3.
    case forgetIncomplete
    case drop(DropReason)
    /// Tell the application, which was asked, that no session comes of it.
    case withdraw(RequestID, DropReason)
    /// The handshake has come to a session.
    case establish(Outcome)
    /// The handshake is over, for a reason that is counted, or for none.
    case forget(DropReason?)
  }

  /// The session that a handshake has come to.
  struct Outcome {
    let peer: PublicKey
    let acceptance: Session.Acceptance
  }

  /// Whom it counts for.
  let source: HelloSource
  /// Where X1 came from, which X2 goes to; from a complete X3 on, where that came from.
  private(set) var address: Address
  private var state = State.readingHello
  /// Whether the handshake is in B2 proper, and may make room for another.
  var isWaitingForCompletion: Bool {
    if case .waiting = state { true } else { false }
  }
  /// kid_A, once X1 is read.
  private var initiatorKeyID = KeyID.none
  /// kid_B, from B2 on.
  private(set) var keyID = KeyID.none
  private var headerKeys: HeaderKeyPair?
  /// For whom the store keeps the ratchet state that is used.
  private(set) var ratchetPeer: PublicKey?
  /// Outcomes that the peer has left behind since: an X3 that leads to one of them comes too late.
  private var revoked = RevokedStates()
  /// The revision of the peer's row before X2; nil if the peer was not known then.
  private var revision: UInt64?
  /// When X2 was asked for, in the order of events.
  private var answeredAt = PeerDirectory.Mark.first
  /// When the first authentic X3 was read.
  private var firstCompletion: Instant?
  /// How many X3 were read that were not authentic.
  private var forgedBodies = 0
  /// The application was asked under this id, and is owed a session or the news that there will be none.
  private(set) var acceptance: RequestID?
  /// A downgrade that the store may hold by now, and that was not reported yet.
  private var unreportedDowngrade: (peer: PublicKey, heldChainLength: UInt64)?
  /// When the swap of its outcome was asked for.
  private var swap = PeerDirectory.Mark.first
  /// When the handshake is forgotten.
  private(set) var expiry: Instant
  /// Whether the handshake has expired, and is kept only to hear what the store did.
  private var isAbandoned = false
  /// What pays for the public-key work.
  private var payment: HelloPayment

  var ticket = PendingOperations.Ticket()
  /// The fragments of X3.
  var reassembly: SessionReassembly
  var reassemblyPlace = ReassemblyMemory.Place()
  /// Where ``HelloAdmission`` has the handshake.
  var place = HelloAdmission.Place()

  /// Bytes of an incomplete X3 at most.
  static let reassemblyLimit = 1 << 14

  /// A handshake whose X1 is complete and admitted.
  ///
  /// - Parameter allowance: what pays for the work. The first item of it is paid.
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

  /// The earliest of all that the handshake waits for.
  var nextDeadline: Instant { min(expiry, reassembly.nextDeadline ?? .distantFuture) }

  /// Whether the store has been asked what it holds for the peer, for an X2.
  var isVerifying: Bool {
    switch state {
    case .verifying, .revoking: true
    default: false
    }
  }

  /// Whether the store may be changing on behalf of the handshake.
  var isStoring: Bool {
    if case .storing = state { true } else { false }
  }

  // MARK: X1

  /// Reads X1.
  ///
  /// - Parameter packet: X1, whose challenge response is not looked at.
  func begin(_ packet: [UInt8], _ configuration: EndpointConfiguration) -> [Step] {
    let (staticKey, profile, provider) = (configuration.staticKey, configuration.profile, configuration.provider)
    return [
      .work(.helloReceived) { () throws(AuthenticationFailure) in
        let hello = packet.rawBytes.extracting(0..<PacketSize.helloWithoutChallenge)
        return .helloReceived(
          try ResponderHandshake.hello(hello, staticKey: staticKey, profile: profile, provider: provider))
      }
    ]
  }

  private func helloRead(
    _ hello: ResponderHandshake.Hello, _ surroundings: Surroundings, at now: Instant
  ) -> [Step] {
    initiatorKeyID = hello.initiatorKeyID
    guard !hello.fingerprint1.isEmpty || !hello.fingerprint2.isEmpty else {
      return respondToUnknown(hello, surroundings, at: now)
    }
    state = .lookingUp(hello)
    // Upstream never looks for the second (section 12).
    // [XK-11]
    return [.ask(.lookUp(hello.fingerprint1, second: hello.fingerprint2))]
  }

  /// Neither fingerprint is known: silence with π1, else the empty state. The peer forgets the state that it named first, so
  /// nothing may come of the attempt that leads to it, which was a stranger's as well.
  private func respondToUnknown(
    _ hello: ResponderHandshake.Hello, _ surroundings: Surroundings, at now: Instant
  ) -> [Step] {
    // [MODE-1] [XK-12]
    guard !surroundings.configuration.flags.contains(.helloRequiresRatchet) else { return [.forget(.unknownRatchet)] }
    let directory = surroundings.directory
    // The store may be taking just the state that was named: then this is no stranger. The Hello comes again.
    let isStoring = [hello.fingerprint1, hello.fingerprint2].contains { directory.isStoring($0, at: now) }
    let end = now.advanced(by: surroundings.settings.handshakeTimeout)
    // [DEC-65] [DEC-71]
    guard !isStoring, directory.leaveBehind(hello.fingerprint1, until: end, at: now) else { return [.forget(.busy)] }
    // [XK-13]
    return respond(to: hello, using: .empty, surroundings)
  }

  /// A fingerprint was found, and `held` is the row of its owner after every change that was asked for before.
  ///
  /// While another attempt of that peer is being stored, the row may turn out to hold the state of the other fingerprint.
  ///
  /// An initiator that names two states forgets, when it gets X2, the one that X2 is not based on. So before it does, the store
  /// revokes that one, unless it is held: no attempt may lead to it any more, here or at another endpoint with this store; or the two
  /// stores would have no state in common (section 14).
  ///
  /// - Parameters:
  ///   - name: the name that the store has revoked for this Hello. The row may have changed since that was asked for, so that
  ///     it is not the one that X2 leaves behind.
  ///   - isStoring: whether another handshake of a peer is being stored.
  private func respond(
    to hello: ResponderHandshake.Hello, holding held: RatchetPair, at revision: UInt64, revoked name: Fingerprint?,
    _ surroundings: Surroundings, isStoring: (PublicKey) -> Bool
  ) -> [Step] {
    // [DEC-67]
    guard let ratchet = held.common(hello.fingerprint1, hello.fingerprint2), let peer = ratchetPeer else {
      // The row has changed since the look-up, so the peer is no stranger. The Hello comes again.
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
    return steps + respond(to: hello, using: ratchet, surroundings)
  }

  /// X2 can be written, when there is room for the work.
  private func respond(
    to hello: ResponderHandshake.Hello, using ratchet: RatchetState, _ surroundings: Surroundings
  ) -> [Step] {
    // [DEC-45]
    answeredAt = surroundings.directory.nextMark()
    state = .unwritten(hello, ratchet)
    return [.waitForRoom]
  }

  /// Whether the work needs no room.
  var isUnlimited: Bool { payment.allowance == .unlimited }

  /// There is room for the work on X2, if that is what the handshake waits for.
  func writeResponse(_ configuration: EndpointConfiguration) -> [Step] {
    guard case .unwritten(let hello, let ratchet) = state else { return [] }
    state = .responding(hello)
    let (profile, provider) = (configuration.profile, configuration.provider)
    return [
      .work(.response) { () throws(AuthenticationFailure) in
        .response(try ResponderHandshake.response(to: hello, using: ratchet, profile: profile, provider: provider))
      }
    ]
  }

  /// X2 is ready but for the name of our key: B2.
  private func enterB2(
    _ hello: ResponderHandshake.Hello, _ response: ResponderHandshake.Response, drawKeyID: () -> KeyID
  ) -> [Step] {
    var response = response
    // [XK-14]
    keyID = drawKeyID()
    let packet = response.finish(keyID: keyID)
    state = .waiting(response)
    headerKeys = HeaderKeyPair(hello.headerKeys, .responder)
    // The packet-nonce counter is the last 3 bytes of the packet (section 4).
    // [PKT-7]
    let counter = packet.rawBytes.load(UInt32.self, at: packet.count - 4) & 0xFF_FFFF
    // [DEC-28] [TIME-3] [XK-17]
    return [
      .send(OutgoingPacket(type: .response, counter: UInt64(counter), keyID: initiatorKeyID, bytes: packet))
    ]
  }

  // [DEC-64]
  /// The peer begins a handshake without the state of this name.
  func revoke(_ name: Fingerprint) { revoked.insert(name) }

  // MARK: X3

  /// The key that uncovers the header of a fragment of X3; nil while none is wanted.
  func headerReceivingKey(_ provider: any CryptoProvider) -> (any HeaderKey)? {
    // [DEC-5]
    guard isWaitingForCompletion, let key = headerKeys?.receivingKey(provider) else { return nil }
    headerKeys?.keep(receiving: key)
    return key
  }

  /// The key that protects headers; nil before B2.
  func headerSendingKey(_ provider: any CryptoProvider) -> (any HeaderKey)? { headerKeys?.makeSendingKey(provider) }

  /// X3 is complete. The handshake takes no other while this one is being read, and none once one
  /// was authentic (section 6).
  func completionReceived(
    _ packet: [UInt8], from source: Address, _ gate: inout HelloGate, _ provider: any CryptoProvider, at now: Instant
  ) throws(Dropped) -> [Step] {
    // [DEC-5] [XK-34]
    guard case .waiting(let response) = state else { throw Dropped(.busy) }
    let sizes = PacketSize.completionWithoutIdentity...PacketSize.largestCompletion
    // [PKT-6]
    guard sizes.contains(packet.count) else { throw Dropped(.malformed) }
    guard payment.payBody(&gate, at: now) else { throw Dropped(.overBudget) }
    state = .readingCompletion(response)
    // Anyone can repeat X1. Nothing is sent there before an X3 was authentic.
    // [DEC-29]
    address = source
    // [DEC-7] [XK-27]
    return [
      .forgetIncomplete,
      .work(.completionReceived) { () throws(AuthenticationFailure) in
        .completionReceived(
          try ResponderHandshake.completion(of: response, packet.rawBytes, provider: provider))
      },
    ]
  }

  /// X3 was authentic.
  private func completionRead(
    _ response: ResponderHandshake.Response, _ completion: ResponderHandshake.Completion,
    _ surroundings: Surroundings, at now: Instant
  ) -> [Step] {
    if let steps = hindrance(response, completion, surroundings, at: now) { return steps }
    state = .asking(response, completion)
    // [XK-28]
    return [
      .askApplication(
        AcceptRequest(
          peer: completion.initiator.encoded, identity: completion.identity, address: address,
          hasRatchet: !response.used.isEmpty, ratchetPeer: ratchetPeer))
    ]
  }

  /// The application is asked, under this id.
  func asked(_ id: RequestID) { acceptance = id }

  /// What keeps a handshake whose X3 was read from going on: it is forgotten, or waits for X3 to come again; nil if nothing
  /// does.
  private func hindrance(
    _ response: ResponderHandshake.Response, _ completion: ResponderHandshake.Completion,
    _ surroundings: Surroundings, at now: Instant
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

  /// X3 was not authentic. As Alice waits for a genuine X2, Bob waits for a genuine X3, until so
  /// many have been read (section 14).
  private func completionFailed(_ response: ResponderHandshake.Response, _ settings: Settings) -> [Step] {
    // [DEC-3] [DEC-4]
    forgedBodies += 1
    guard forgedBodies < settings.bodiesPerHandshake else { return [.forget(.notAuthentic)] }
    state = .waiting(response)
    return [.drop(.notAuthentic)]
  }

  /// The news for the application that no session comes of what it was asked about, if it was.
  private func withdraw(_ reason: DropReason) -> [Step] { acceptance.take().map { [.withdraw($0, reason)] } ?? [] }

  // MARK: The application

  /// The application has decided.
  func decided(_ decision: AcceptDecision, _ provider: any CryptoProvider) -> [Step] {
    guard case .asking(let response, let completion) = state else { return [] }
    switch decision {
    case .accept(let flags):
      state = .loading(response, completion, flags)
      // [XK-29]
      return [.ask(.load(peer: completion.initiator.encoded))]
    case .reject(let silently): return reject(completion, silently: silently, provider)
    }
  }

  /// Sends D with counter 0 unless in silence, and forgets the handshake.
  private func reject(
    _ completion: ResponderHandshake.Completion, silently: Bool, _ provider: any CryptoProvider
  ) -> [Step] {
    // [MODE-4] [XK-33]
    guard !silently else { return [.forget(.refused)] }
    var packet = [UInt8](repeating: 0, count: PacketSize.tag)
    let key = provider.packetKey(completion.secrets.exchangeKeys.sending(.responder))
    packet.withMutableBytes {
      key.seal(RawSpan(), nonce: Nonce(.rejected, 0), authenticating: RawSpan(), into: &$0)
    }
    return [
      .send(OutgoingPacket(type: .rejected, counter: 0, keyID: initiatorKeyID, bytes: packet)), .forget(.refused),
    ]
  }

  /// The application takes its answer back, or what it would have answered.
  ///
  /// - Returns: whether it was in time: the store was not asked to store anything.
  func cancel() -> Bool {
    guard !isStoring else { return false }
    acceptance = nil
    return true
  }

  // MARK: The new state

  /// Does the ratchet state that was used belong to this peer? If it is neither of the peer's, the handshake goes on
  /// only if the state used is the empty one and π3 allows it.
  ///
  /// A newer state than the one used is that of an attempt in the other direction, which the peer may have taken just
  /// as we take this one. It stays until the peer has confirmed, lest the two stores have no state in common (section 14).
  private func store(
    _ response: ResponderHandshake.Response, _ completion: ResponderHandshake.Completion, _ flags: SecurityFlags,
    beside held: RatchetPair, at revision: UInt64, _ surroundings: Surroundings, at now: Instant
  ) -> [Step] {
    let (ratchet, peer) = (completion.secrets.ratchet, completion.initiator.encoded)
    let directory = surroundings.directory
    let change: Change
    // [DEC-76]
    if held.state1 == ratchet {
      // It is there already, from a swap whose answer was that the store failed.
      change = Change(new: held, downgradedFrom: unreportedDowngrade?.heldChainLength, revision: revision)
    } else if held.state1 == response.used {
      // [XK-31]
      change = Change(new: RatchetPair(ratchet), downgradedFrom: nil, revision: revision)
    } else if held.state2 == response.used {
      // [DEC-74]
      change = Change(new: RatchetPair(ratchet, held.state1), downgradedFrom: nil, revision: revision)
    } else if response.used.isEmpty, !flags.contains(.responderDisallowsDowngrade) {
      // [DEC-82]
      // A peer that has answered under a state since this X2 has lost none. It has left this attempt behind (section 14).
      guard directory.lastAnswer(of: peer) < answeredAt else { return [.forget(.superseded)] }
      // [XK-30]
      change = Change(new: RatchetPair(ratchet), downgradedFrom: held.state1.chainLength, revision: revision)
    } else {
      // [MODE-3] [MODE-4] [XK-29]
      return reject(
        completion, silently: flags.contains(.responderRejectsSilently), surroundings.provider)
    }
    state = .storing(response, completion, change)
    // From now on the store may hold it, whatever becomes of the answer, and of the handshake.
    unreportedDowngrade = change.downgradedFrom.map { (peer, $0) }
    // [DEC-71]
    let settings = surroundings.settings
    directory.recordStoring(
      ratchet.fingerprint, until: now.advanced(by: settings.handshakeTimeout + settings.rekeyTimeout), at: now)
    swap = directory.nextMark()
    return [.ask(.compareAndSwap(peer: peer, expected: held, new: change.new, since: self.revision ?? revision))]
  }

  /// The store has answered, perhaps to a swap. A look-up that it did before may be answered after this.
  private func noteStoring(_ answer: StoreAnswer, _ surroundings: Surroundings, at now: Instant) {
    guard case .storing(_, let completion, _) = state else { return }
    let name = completion.secrets.ratchet.fingerprint
    if case .notSwapped = answer { return surroundings.directory.endStoring(name) }
    let end = now.advanced(by: surroundings.settings.handshakeTimeout)
    surroundings.directory.recordStoring(name, until: end, at: now)
  }

  /// The peer is accepted and the new ratchet state stored: the session begins, with C1.
  private func establish(_ completion: ResponderHandshake.Completion, _ change: Change, _ directory: PeerDirectory)
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

  /// Public-key work is done.
  func completed(
    _ outcome: PublicKeyResult.Outcome, _ surroundings: Surroundings, at now: Instant, drawKeyID: () -> KeyID
  ) -> [Step] {
    switch (state, outcome) {
    case (.readingHello, .helloReceived(let hello)): return helloRead(hello, surroundings, at: now)
    case (.responding(let hello), .response(let response)):
      return enterB2(hello, response, drawKeyID: drawKeyID)
    case (.readingCompletion(let response), .completionReceived(let completion)):
      return completionRead(response, completion, surroundings, at: now)
    case (.readingCompletion(let response), _): return completionFailed(response, surroundings.settings)
    // [XK-9]
    default: return [.forget(.notAuthentic)]
    }
  }

  /// The store has answered.
  ///
  /// - Parameter isStoring: whether another handshake of a peer is being stored.
  func answered(
    _ answer: StoreAnswer, _ surroundings: Surroundings, at now: Instant, isStoring: (PublicKey) -> Bool
  ) -> [Step] {
    noteStoring(answer, surroundings, at: now)
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
      return respond(to: hello, holding: held, at: revision, revoked: nil, surroundings, isStoring: isStoring)
    case (.revoking(let hello, let name), .pair(let held, let revision)):
      return respond(to: hello, holding: held, at: revision, revoked: name, surroundings, isStoring: isStoring)
    case (.lookingUp(let hello), .unknown): return respondToUnknown(hello, surroundings, at: now)
    case (.loading(let response, let completion, let flags), .pair(let held, let revision)):
      return hindrance(response, completion, surroundings, at: now)
        ?? store(response, completion, flags, beside: held, at: revision, surroundings, at: now)
    case (.storing(_, let completion, let change), .swapped):
      return establish(completion, change, surroundings.directory)
    case (.storing, .notSwapped):
      unreportedDowngrade = nil
      // [RAT-8]
      return [.forget(.ratchetConflict)]
    case (.loading(let response, _, _), _), (.storing(let response, _, _), _):
      // Nothing has changed: back to B2, where Alice's next X3 is welcome (section 9).
      // [DEC-10] [RAT-9]
      state = .waiting(response)
      return [.drop(.storeFailed)] + withdraw(.storeFailed)
    default: return [.forget(.storeFailed)]
    }
  }

  /// What was asked for will not be done, because whoever drives the endpoint is too busy. The handshake makes room at once,
  /// unless it was an X3 that was to be read: then it waits for the next.
  func refused(_ gate: inout HelloGate) -> [Step] {
    // [DEC-11]
    guard case .readingCompletion(let response) = state else { return [.forget(.busy)] }
    payment.cancelBody(&gate)
    state = .waiting(response)
    return [.drop(.busy)]
  }

  // [DEC-55]
  /// Settles what the work took that is done; nil if it is not known.
  func settle(took time: Duration?, _ gate: inout HelloGate, at now: Instant) {
    if case .readingCompletion = state {
      payment.settleBody(took: time, &gate, at: now)
    } else if let time {
      payment.settleHello(took: time, &gate, at: now)
    }
  }

  // MARK: The end

  // [TIME-3]
  /// The handshake has taken too long. While the store is asked it is kept, so that a Hello which names its outcome is not
  /// taken for a stranger's.
  func expired(_ settings: Settings, at now: Instant) -> [Step] {
    let news = withdraw(.handshakeTimeout)
    // [DEC-72]
    guard isStoring, !isAbandoned else { return news + [.forget(nil)] }
    isAbandoned = true
    expiry = now.advanced(by: settings.rekeyTimeout)
    return news
  }

  /// The handshake is over: what is set aside for its work is given back.
  ///
  /// - Returns: the request for which the application was asked, if it was.
  func end(_ gate: inout HelloGate) -> RequestID? {
    payment.end(&gate)
    return acceptance.take()
  }

  // [DEC-73]
  /// Takes the downgrade that the store may hold and nobody was told of.
  func takeUnreportedDowngrade() -> (peer: PublicKey, heldChainLength: UInt64)? { unreportedDowngrade.take() }
}
