// SPDX-License-Identifier: Apache-2.0
public import ZSSP

// Section 5, the receiver's side: from a datagram to a packet and its recipient.

extension ReferencePeer {
  /// Receives a datagram, and does everything that follows from it.
  public func receive(_ datagram: [UInt8], from source: Address, at now: Instant) -> ReceiveResult {
    do {
      // [FRAG-17]
      return try take(datagram, from: source, at: now)
    } catch { return .dropped(error) }
  }

  private func take(_ datagram: [UInt8], from source: Address, at now: Instant) throws(Drop) -> ReceiveResult {
    // "A datagram shorter than 32 bytes is dropped."
    // [FRAG-7]
    guard datagram.count >= 32 else { throw .malformed }
    let keyID = KeyID(integer(datagram[0..<4]))
    if keyID == 0 { return try takeFromStranger(datagram, from: source, at: now) }
    // [HDR-2]
    if let session = sessions.first(where: { $0.keyIDs.contains(keyID) }) {
      return try take(datagram, for: session, from: source, at: now)
    }
    if let handshake = halfOpen.first(where: { $0.x2.kidB == keyID }) {
      return try take(datagram, for: handshake, from: source, at: now)
    }
    throw .unknownKeyID
  }

  /// "X1 and Challenge fragments are not header-protected (no key exists yet)."
  private func takeFromStranger(
    _ datagram: [UInt8], from source: Address, at now: Instant
  ) throws(Drop) -> ReceiveResult {
    // [HDR-7]
    let header = try Header(datagram)
    let payload = Array(datagram[16...])
    switch PacketType(rawValue: header.type) {
    case .x1:
      guard let packet = try hellos.insert(header, payload: payload, from: source, at: now) else { return .handled }
      try receiveX1(packet, header: header, from: source, at: now)
    case .challenge:
      guard header.count == 1, payload.count == Size.challenge else { throw .malformed }
      try receiveChallenge(payload)
    default:
      throw .unexpected
    }
    return .handled
  }

  /// "The receiver finds the session by key id, decrypts the block, and only if the packet nonce is
  /// plausible does the fragment enter a buffer."
  private func take(
    _ datagram: [UInt8], for session: Session, from source: Address, at now: Instant
  ) throws(Drop) -> ReceiveResult {
    guard let headerKeys = session.headerKeys else { throw .unexpected }
    let datagram = unprotected(datagram, headerKey: headerKeys.receive, crypto: crypto)
    let header = try Header(datagram)
    guard let type = PacketType(rawValue: header.type) else { throw .malformed }
    try checkPlausible(header, type: type, for: session)
    // Section 14: "A fragment of X2 that does not have its size is dropped at once."
    // [DEC-8]
    if type == .x2, datagram.count - 16 != fragmentSizes(of: Size.x2, count: header.count)[header.number] {
      throw .malformed
    }
    guard let packet = try session.reassembly.insert(header, payload: Array(datagram[16...]), at: now) else {
      return .handled
    }

    if type == .x2 {
      try receiveX2(packet, header: header, session: session, at: now)
      return .handled
    }
    guard let key = session.key(header.keyID) else { throw .unexpected }
    if type == .p { return try receiveData(packet, header: header, on: session, under: key, from: source, at: now) }
    try receiveControl(packet, header: header, type: type, session: session, key: key, from: source, at: now)
    return .handled
  }

  /// The table of section 5.
  private func checkPlausible(_ header: Header, type: PacketType, for session: Session) throws(Drop) {
    switch type {
    case .x2:
      // [HDR-3]
      guard case .a1(.some) = session.state, session.kidA == header.keyID, header.counter < 1 << 24 else {
        throw .unexpected
      }
    case .c1, .c2, .k1, .k2, .d, .p:
      // [HDR-5]
      guard session.key(header.keyID) != nil else { throw .unexpected }
      // [CTR-7]
      guard session.replayWindow.accepts(header.counter) else { throw .replayed }
    // [HDR-6]
    case .x1, .x3, .challenge:
      throw .unexpected
    }
  }

  /// Type 2: "half-open handshake in B2 and counter = 0".
  private func take(
    _ datagram: [UInt8], for handshake: HalfOpen, from source: Address, at now: Instant
  ) throws(Drop) -> ReceiveResult {
    // "B2: 10 s → ⊥", even if the timer was not processed yet.
    guard now < handshake.expiry else { throw .unknownKeyID }
    let datagram = unprotected(datagram, headerKey: handshake.headerKeys.receive, crypto: crypto)
    let header = try Header(datagram)
    // [HDR-4]
    guard header.type == PacketType.x3.rawValue, header.counter == 0 else { throw .unexpected }
    // [FRAG-11]
    guard let packet = try handshake.reassembly.insert(header, payload: Array(datagram[16...]), at: now) else {
      return .handled
    }
    try receiveX3(packet, for: handshake, from: source, at: now)
    return .handled
  }

  // [CTRL-7]
  /// Receives P. "It may be *received* under any key held" (section 6).
  private func receiveData(
    _ packet: [UInt8], header: Header, on session: Session, under key: SessionKey, from source: Address, at now: Instant
  ) throws(Drop) -> ReceiveResult {
    let message = try authenticated(packet, header: header, on: session, under: key.nk.receive, from: source, at: now)
    return .message(session: session.id, message)
  }

  /// Sends to another address of the peer from now on.
  func move(_ session: Session, to address: Address) {
    report(.moved(session: session.id, from: session.address, to: address))
    session.address = address
  }

  /// Section 4: "The window is checked before decryption (twice for fragmented packets: at the
  /// header and after authentication) and updated only after the packet authenticated." Section 14:
  /// "The newest packet that authenticated, of whatever type, says where the peer is."
  func authenticated(
    _ packet: [UInt8], header: Header, on session: Session, under key: [UInt8], from source: Address, at now: Instant
  ) throws(Drop) -> [UInt8] {
    let plaintext: [UInt8]
    do { plaintext = try crypto.open(key, nonce: header.nonce, message: packet) } catch { throw .notAuthentic }
    // [CTR-7]
    guard session.replayWindow.accepts(header.counter) else { throw .replayed }
    let isNewest = header.counter >= session.replayWindow.next
    // [CTR-8]
    session.replayWindow.accept(header.counter)
    // [DEC-83]
    session.silence?.since = now
    // [DEC-30] [DEC-31]
    if isNewest, source != session.address { move(session, to: source) }
    return plaintext
  }
}
