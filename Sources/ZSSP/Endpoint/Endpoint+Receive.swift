// SPDX-License-Identifier: Apache-2.0

/// Processes incoming datagrams. The key id tells the owner (`route`). The header protection is
/// removed (`protectedReceived`) and the header checked (`unprotectedReceived`). The packet is
/// reassembled (`fragmentReceived`) and opened (`packetReceived`). Bursts take the same steps,
/// except for runs of data packets: see `Endpoint+Burst.swift`. For half-open handshakes see
/// `Endpoint+HalfOpen.swift`.
extension Endpoint {
  /// Entry point for every incoming datagram.
  ///
  /// - Parameters:
  ///   - datagram: the datagram, which is decrypted in place. Afterwards its content is
  ///     unspecified, except for the plaintext of a message.
  ///   - source: the sender's address.
  ///   - now: the present time.
  public mutating func receive(
    _ datagram: inout MutableRawSpan, from source: Address, at now: Instant
  ) -> ReceiveResult {
    journal.countReceived(datagrams: 1, bytes: datagram.byteCount)
    let reception = route(&datagram, from: source, at: now)
    if case .dropped(let reason) = reception { journal.drop(reason) }
    return reception
  }

  /// Passes a datagram to the owner of its key id.
  mutating func route(_ datagram: inout MutableRawSpan, from source: Address, at now: Instant) -> ReceiveResult {
    // [FRAG-7]
    guard (FragmentHeader.smallestDatagram...Settings.largestMTU).contains(datagram.byteCount) else {
      return .dropped(.badLength)
    }
    let keyID = KeyID(datagram.bytes)
    guard keyID != .none else { return strangerReceived(datagram.bytes, from: source, at: now) }
    // [HDR-2]
    switch keyIDs[keyID] {
    case .session(let session): return protectedReceived(&datagram, for: session, from: source, at: now)
    case .halfOpen(let handshake): return protectedReceived(&datagram, for: handshake, from: source, at: now)
    case nil: return .dropped(.unknownKeyID)
    }
  }

  /// Receives X1 and challenges, the only packets without header protection.
  private mutating func strangerReceived(_ datagram: RawSpan, from source: Address, at now: Instant) -> ReceiveResult {
    // [HDR-7]
    guard let header = FragmentHeader(datagram) else { return .dropped(.malformed) }
    let payload = datagram.extracting(FragmentHeader.size..<datagram.byteCount)
    switch PacketType(rawValue: header.type) {
    case .hello:
      switch hellos.insert(header, payload: payload, from: source, at: now) {
      case .stored: return .handled
      case .refused(let reason): return .dropped(reason)
      case .complete(let packet): return helloReceived(packet, header: header, from: source, at: now)
      }
    case .challenge: return challengeReceived(payload, header: header, at: now)
    default: return .dropped(.unexpected)
    }
  }

  /// Removes the header protection of a datagram.
  func removeHeaderProtection(_ datagram: inout MutableRawSpan, by headerKey: any HeaderKey) {
    var block = datagram.slice(FragmentHeader.protectedBytes)
    headerKey.decrypt(&block)
  }

  // MARK: Sessions

  /// Removes the header protection of a fragment for a session, and processes the fragment if its
  /// header is as expected (section 5).
  private mutating func protectedReceived(
    _ datagram: inout MutableRawSpan, for session: Session, from source: Address, at now: Instant
  ) -> ReceiveResult {
    guard let headerKey = session.core.keys.headerReceivingKey(provider) else { return .dropped(.unexpected) }
    removeHeaderProtection(&datagram, by: headerKey)
    return unprotectedReceived(&datagram, by: headerKey, for: session, from: source, at: now)
  }

  /// Processes a fragment for a session whose header protection `headerKey` has removed.
  mutating func unprotectedReceived(
    _ datagram: inout MutableRawSpan, by headerKey: any HeaderKey, for session: Session, from source: Address,
    at now: Instant
  ) -> ReceiveResult {
    guard let header = FragmentHeader(datagram.bytes), let type = PacketType(rawValue: header.type) else {
      return .dropped(.malformed)
    }
    switch type {
    case .response:
      // [HDR-3] [XK-18]
      guard session.expectsResponse(header) else { return .dropped(.unexpected) }
      // The size of X2 is known, and with it that of each fragment. A fragment that does not fit
      // must not displace one that does.
      let plan = FragmentPlan(size: PacketSize.response, count: Int(header.count))
      // [DEC-8]
      guard datagram.byteCount - FragmentHeader.size == plan.range(Int(header.number)).count else {
        return .dropped(.malformed)
      }
    case .keyConfirm, .acknowledge, .rekeyInit, .rekeyComplete, .rejected, .data:
      // [HDR-5]
      guard session.key(header.keyID) != nil else { return .dropped(.unexpected) }
      // [CTR-7]
      guard session.core.keys.window.accepts(header.counter) else { return .dropped(.replayed) }
    // [HDR-6]
    case .hello, .completion, .challenge:
      return .dropped(.unexpected)
    }
    // Control packets are too rare to cache a key for them.
    if type == .data { keep(headerKey, of: session, at: now) }

    if header.count == 1 {
      var packet = datagram.slice(FragmentHeader.size..<datagram.byteCount)
      let outcome = packetReceived(&packet, header: header, type: type, for: session, from: source, at: now)
      guard case .message(let id, let range) = outcome else { return outcome }
      return .message(id, range: range.lowerBound + FragmentHeader.size..<range.upperBound + FragmentHeader.size)
    }
    let payload = datagram.bytes.extracting(FragmentHeader.size..<datagram.byteCount)
    let deadline = session.reassembly.nextDeadline
    let reception = fragmentReceived(payload, header: header, type: type, for: session, from: source, at: now)
    if session.reassembly.nextDeadline != deadline { schedule(session) }
    return reception
  }

  /// Records that the session's keys are in use, because a header from its peer was as expected.
  mutating func keep(_ headerKey: any HeaderKey, of session: Session, at now: Instant) {
    memory.keys.use(session, at: now)
    session.keep(receiving: headerKey)
  }

  /// Processes one of several fragments. The caller sets the session's timer.
  @inline(__always)
  mutating func fragmentReceived(
    _ payload: RawSpan, header: FragmentHeader, type: PacketType, for session: Session, from source: Address,
    at now: Instant
  ) -> ReceiveResult {
    let outcome = reassemble(
      header, payload: payload, for: session, at: now, openedBy: type == .data ? session.key(header.keyID) : nil)
    switch outcome {
    case .stored: return .handled
    case .refused(let reason): return .dropped(reason)
    case .opened(let message, let stream):
      session.key(header.keyID)?.giveBack(stream)
      let outcome = dataOpened(message.count, header: header, for: session, from: source, at: now)
      guard case .message(let id, _) = outcome else { return outcome }
      return .assembled(id, message: message)
    case .complete(var packet):
      let outcome = packet.withMutableBytes { bytes in
        packetReceived(&bytes, header: header, type: type, for: session, from: source, at: now)
      }
      guard case .message(let id, let range) = outcome else { return outcome }
      packet.removeLast(packet.count - range.upperBound)
      return .assembled(id, message: packet)
    }
  }

  /// Adds a fragment to its packet. If the endpoint's limit is exceeded, evicts another packet
  /// (section 14).
  @inline(__always)
  mutating func reassemble(
    _ header: FragmentHeader, payload: RawSpan, for holder: some ReassemblyHolder, at now: Instant,
    openedBy key: @autoclosure () -> SessionKey? = nil
  ) -> SessionReassembly.Outcome {
    let outcome = memory.packets.insert(
      header, payload: payload, of: holder, provider: surroundings.configuration.provider, at: now, openedBy: key())
    // [DEC-40] [DEC-41]
    if memory.packets.isOverLimit { makeRoom() }
    return outcome
  }

  private mutating func makeRoom() {
    while let victim = memory.packets.evict() {
      journal.drop(.reassemblyEvicted)
      timers.set(victim, to: victim.nextDeadline)
    }
  }

  /// Processes a complete packet for a session.
  private mutating func packetReceived(
    _ packet: inout MutableRawSpan, header: FragmentHeader, type: PacketType, for session: Session,
    from source: Address, at now: Instant
  ) -> ReceiveResult {
    if type == .response { return responseReceived(packet.bytes, header: header, for: session, at: now) }
    guard let key = session.key(header.keyID) else { return .dropped(.unexpected) }
    guard type == .data else {
      return controlReceived(&packet, header: header, type: type, under: key, for: session, from: source, at: now)
    }
    // [CTRL-7]
    guard key.receivingKey(provider).open(&packet, nonce: header.nonce, authenticating: RawSpan()) else {
      return .dropped(.notAuthentic)
    }
    return dataOpened(packet.byteCount - PacketSize.tag, header: header, for: session, from: source, at: now)
  }

  /// Processes an authentic data packet whose plaintext has `size` bytes.
  private mutating func dataOpened(
    _ size: Int, header: FragmentHeader, for session: Session, from source: Address, at now: Instant
  ) -> ReceiveResult {
    // [DEC-23]
    guard accept(header, for: session, from: source, at: now) else { return .dropped(.replayed) }
    countDelivered(messages: 1, bytes: UInt64(size), on: session, at: now)
    return .message(session.id, range: 0..<size)
  }

  /// Counts messages that were delivered.
  mutating func countDelivered(messages: UInt64, bytes: UInt64, on session: Session, at now: Instant) {
    journal.countDelivered(messages)
    session.countReceived(messages: messages, bytes: bytes, at: now)
  }

  /// Marks the counter of an authentic packet as used. If the packet is the newest, of whatever
  /// type, its source becomes the peer's address (section 14).
  ///
  /// - Returns: true if the counter was still acceptable.
  private mutating func accept(
    _ header: FragmentHeader, for session: Session, from source: Address, at now: Instant
  ) -> Bool {
    // [CTR-7] [CTR-8] [DEC-30] [DEC-31]
    guard let hasMoved = session.accept(header.counter, from: source, at: now) else { return false }
    if hasMoved { move(session, to: source) }
    return true
  }

  /// Processes a complete X2.
  private mutating func responseReceived(
    _ packet: RawSpan, header: FragmentHeader, for session: Session, at now: Instant
  ) -> ReceiveResult {
    trace?.add(
      .received(.response, size: packet.byteCount, from: session.address), of: .session(session.id), at: now)
    do {
      perform(try session.responseReceived(packet, header: header, in: surroundings), for: session, at: now)
      return .handled
    } catch {
      trace?.add(.dropped(.response, error.reason), of: .session(session.id))
      return .dropped(error.reason)
    }
  }

  /// Processes a complete control packet. Its tag is verified with the key encryption key before
  /// anything else.
  private mutating func controlReceived(
    _ packet: inout MutableRawSpan, header: FragmentHeader, type: PacketType, under key: SessionKey,
    for session: Session, from source: Address, at now: Instant
  ) -> ReceiveResult {
    let size = type == .rekeyInit || type == .rekeyComplete ? PacketSize.rekey : PacketSize.tag
    // [PKT-6]
    guard packet.byteCount == size else { return .dropped(.malformed) }
    // [DEC-30] [KK-17] [PKT-8] [TIME-10]
    guard key.makeExchangeReceivingKey(provider).open(&packet, nonce: header.nonce, authenticating: RawSpan()) else {
      return .dropped(.notAuthentic)
    }
    guard accept(header, for: session, from: source, at: now) else { return .dropped(.replayed) }
    trace?.add(.received(type, size: size, from: source), of: .session(session.id), at: now)
    do {
      let actions = try session.controlReceived(
        type, body: packet.bytes, counter: header.counter, under: key, in: surroundings, at: now)
      perform(actions, for: session, at: now)
      return .handled
    } catch {
      trace?.add(.dropped(type, error.reason), of: .session(session.id))
      return .dropped(error.reason)
    }
  }
}
