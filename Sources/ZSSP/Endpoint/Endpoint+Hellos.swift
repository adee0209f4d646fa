// SPDX-License-Identifier: Apache-2.0

/// Receives Hellos and challenges, which begin a handshake (sections 6 and 8).
extension Endpoint {
  /// Admits a complete X1. Reading it costs public-key work, so the cheap checks come first.
  mutating func helloReceived(
    _ packet: [UInt8], header: FragmentHeader, from source: Address, at now: Instant
  ) -> ReceiveResult {
    let hello = packet.rawBytes.extracting(0..<PacketSize.helloWithoutChallenge)
    // [DEC-19] [XK-8]
    guard header.counter == hello.load(UInt64.self, at: hello.byteCount - 8) else { return .dropped(.notAuthentic) }
    // [DEC-19] [XK-10]
    guard KeyID(hello) != .none else { return .dropped(.malformed) }
    // [DEC-27]
    guard hasRoomForHello else { return dropHello(.busy) }
    switch hellos.admit(packet, from: source, provider: provider, at: now) {
    case .read(let allowance): readHello(packet, from: source, allowance: allowance, at: now)
    case .wait(let evicting):
      if evicting {
        journal.drop(.evicted)
        journal.countHellosDropped()
      }
      readWaitingHellos(at: now)
    // [CHAL-8]
    case .challenge:
      trace?.add(.received(.hello, size: packet.count, from: source), at: now)
      sendChallenge(packet, to: source, at: now)
      journal.countHelloChallenged()
      return .dropped(.challenged)
    case .drop(let reason):
      trace?.add(.dropped(.hello, reason), at: now)
      return dropHello(reason)
    }
    return .handled
  }

  private mutating func dropHello(_ reason: DropReason) -> ReceiveResult {
    journal.countHellosDropped()
    return .dropped(reason)
  }

  /// True if there is room for one more half-open handshake, or if an eviction can make room.
  var hasRoomForHello: Bool { hasRoomForOwner && hellos.hasRoom }

  /// Begins a handshake with an admitted Hello. Call it only if there is room for the handshake.
  ///
  /// - Parameter allowance: the budget for the work. The first item of work is already charged to
  ///   it.
  private mutating func readHello(
    _ packet: [UInt8], from source: Address, allowance: HelloGate.Allowance, at now: Instant
  ) {
    journal.countHelloAdmitted()
    if let victim = hellos.victim { forget(victim, reason: .evicted) }
    let handshake = HalfOpenHandshake(address: source, allowance: allowance, settings: settings, at: now)
    hellos.add(handshake)
    timers.set(handshake, to: handshake.nextDeadline)
    trace?.add(.received(.hello, size: packet.count, from: source), of: trace?.owner(handshake) ?? .endpoint, at: now)
    perform(handshake.begin(packet, configuration: configuration), for: handshake, at: now)
  }

  /// Writes the X2s whose turn has come, and reads such Hellos. A Hello stays queued until there is
  /// room for its handshake, because its answer to a challenge is already redeemed.
  mutating func readWaitingHellos(at now: Instant) {
    while let handshake = hellos.nextUnwritten() {
      perform(handshake.writeResponse(configuration), for: handshake, at: now)
    }
    // [DEC-80]
    while hasRoomForHello, let item = hellos.nextHello(at: now) {
      readHello(item.hello, from: item.address, allowance: .challenged, at: now)
    }
  }

  private mutating func sendChallenge(_ hello: [UInt8], to source: Address, at now: Instant) {
    let bytes = hello.rawBytes
    let provider = provider
    let response = ChallengeResponse(bytes.extracting(PacketSize.helloWithoutChallenge..<PacketSize.hello))
    let challenge = hellos.challenge(to: source, proof: response.proof, provider, at: now)
    // [CHAL-7]
    let packet = bytes.extracting(0..<KeyID.size).array + challenge.bytes
    // [PKT-7]
    let counter = provider.randomInteger(UInt64.self)
    send(
      OutgoingPacket(type: .challenge, counter: counter, keyID: .none, bytes: packet), to: source, under: nil,
      of: nil)
  }

  /// Receives a challenge.
  mutating func challengeReceived(_ payload: RawSpan, header: FragmentHeader, at now: Instant) -> ReceiveResult {
    guard header.count == 1, payload.byteCount == PacketSize.challengePacket else { return .dropped(.malformed) }
    let challenge = ChallengeResponse(payload.extracting(KeyID.size..<PacketSize.challengePacket))
    let keyID = KeyID(payload)
    // [CHAL-10]
    guard case .session(let session)? = keyIDs[keyID] else { return .dropped(.unexpectedChallenge) }
    trace?.add(.received(.challenge, size: payload.byteCount, from: session.address), of: .session(session.id), at: now)
    do {
      perform(try session.challengeReceived(challenge, for: keyID, provider: provider), for: session, at: now)
      return .handled
    } catch {
      trace?.add(.dropped(.challenge, error.reason), of: .session(session.id))
      return .dropped(error.reason)
    }
  }
}
