// SPDX-License-Identifier: Apache-2.0

/// What became of a datagram.
public enum Reception: Sendable, Hashable {
  /// It was a message. The plaintext lies in the datagram, where `range` says.
  case message(SessionID, range: Range<Int>)
  /// It completed a message of several fragments.
  case assembled(SessionID, message: [UInt8])
  /// It was good, and there is nothing to deliver. There may be outputs.
  case handled
  /// It changed nothing, and was counted.
  case dropped(DropReason)
}

/// The way of a datagram: its key id says whose it is (`route`), its header is uncovered (`protectedReceived`) and checked
/// (`unprotectedReceived`), its packet is put together (`fragmentReceived`) and opened (`packetReceived`). Bursts take the
/// same way, but for data that comes in runs: see `Endpoint+Burst.swift`.
extension Endpoint {
  /// Entry point for every incoming datagram.
  ///
  /// - Parameters:
  ///   - datagram: the datagram, which is decrypted where it lies. Its content is unspecified afterwards, but for the
  ///     plaintext of a message.
  ///   - source: where it came from.
  public mutating func receive(
    _ datagram: inout MutableRawSpan, from source: Address, at now: Instant
  ) -> Reception {
    journal.countReceived(datagrams: 1, bytes: datagram.byteCount)
    let reception = route(&datagram, from: source, at: now)
    if case .dropped(let reason) = reception { journal.drop(reason) }
    return reception
  }

  /// Gives a datagram to whom it belongs.
  mutating func route(_ datagram: inout MutableRawSpan, from source: Address, at now: Instant) -> Reception {
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

  /// X1 and challenges, the only packets without header protection.
  private mutating func strangerReceived(_ datagram: RawSpan, from source: Address, at now: Instant) -> Reception {
    // [HDR-7]
    guard let header = FragmentHeader(datagram) else { return .dropped(.malformed) }
    let payload = datagram.extracting(FragmentHeader.size..<datagram.byteCount)
    switch PacketType(rawValue: header.type) {
    case .hello:
      switch hellos.insert(header, payload, from: source, at: now) {
      case .stored: return .handled
      case .refused(let reason): return .dropped(reason)
      case .complete(let packet): return helloReceived(packet, header, from: source, at: now)
      }
    case .challenge: return challengeReceived(payload, header, at: now)
    default: return .dropped(.implausible)
    }
  }

  // MARK: Half-open handshakes

  /// Uncovers the header of a fragment of X3, and takes it in if it is plausible.
  private mutating func protectedReceived(
    _ datagram: inout MutableRawSpan, for handshake: HalfOpenHandshake, from source: Address, at now: Instant
  ) -> Reception {
    // The timer may be behind the datagram.
    guard now < handshake.expiry else { return .dropped(.unknownKeyID) }
    // [DEC-5]
    guard let headerKey = handshake.headerReceivingKey(provider) else { return .dropped(.busy) }
    removeHeaderProtection(&datagram, headerKey)
    guard let header = FragmentHeader(datagram.bytes) else { return .dropped(.malformed) }
    // [HDR-4]
    guard header.type == PacketType.completion.rawValue, header.counter == 0 else { return .dropped(.implausible) }
    let payload = datagram.bytes.extracting(FragmentHeader.size..<datagram.byteCount)
    if header.count == 1 { return completionReceived(payload.array, for: handshake, from: source, at: now) }
    // [FRAG-11]
    let outcome = reassemble(header, payload, for: handshake, at: now)
    timers.set(handshake, to: handshake.nextDeadline)
    switch outcome {
    case .stored: return .handled
    case .refused(let reason): return .dropped(reason)
    case .complete(let packet): return completionReceived(packet, for: handshake, from: source, at: now)
    // No stream was given for it.
    case .opened: return .dropped(.implausible)
    }
  }

  /// X3 is complete.
  private mutating func completionReceived(
    _ packet: [UInt8], for handshake: HalfOpenHandshake, from source: Address, at now: Instant
  ) -> Reception {
    do {
      let steps = try handshake.completionReceived(packet, from: source, &hellos.gate, provider, at: now)
      perform(steps, for: handshake, at: now)
      return .handled
    } catch { return .dropped(error.reason) }
  }

  private func removeHeaderProtection(_ datagram: inout MutableRawSpan, _ headerKey: any HeaderKey) {
    var block = datagram.slice(FragmentHeader.protectedBytes)
    headerKey.decrypt(&block)
  }

  // MARK: Sessions

  /// Uncovers the header of a fragment for a session, and takes it in if it is plausible (section 5).
  private mutating func protectedReceived(
    _ datagram: inout MutableRawSpan, for session: Session, from source: Address, at now: Instant
  ) -> Reception {
    guard let headerKey = session.core.keys.headerReceivingKey(provider) else { return .dropped(.implausible) }
    removeHeaderProtection(&datagram, headerKey)
    return unprotectedReceived(&datagram, by: headerKey, for: session, from: source, at: now)
  }

  /// Takes in a fragment for a session whose header is uncovered, which `headerKey` did.
  mutating func unprotectedReceived(
    _ datagram: inout MutableRawSpan, by headerKey: any HeaderKey, for session: Session, from source: Address,
    at now: Instant
  ) -> Reception {
    guard let header = FragmentHeader(datagram.bytes), let type = PacketType(rawValue: header.type) else {
      return .dropped(.malformed)
    }
    switch type {
    case .response:
      // [HDR-3] [XK-18]
      guard session.expectsResponse(header) else { return .dropped(.implausible) }
      // The size of X2 is known, and with it that of each fragment. What does not fit must not shut
      // out what does.
      let plan = FragmentPlan(size: PacketSize.response, count: Int(header.count))
      // [DEC-8]
      guard datagram.byteCount - FragmentHeader.size == plan.range(Int(header.number)).count else {
        return .dropped(.malformed)
      }
    case .keyConfirm, .acknowledge, .rekeyInit, .rekeyComplete, .rejected, .data:
      // [HDR-5]
      guard session.key(header.keyID) != nil else { return .dropped(.implausible) }
      // [CTR-7]
      guard session.core.keys.window.accepts(header.counter) else { return .dropped(.replayed) }
    // [HDR-6]
    case .hello, .completion, .challenge:
      return .dropped(.implausible)
    }
    // Control packets are too rare to keep a key for.
    if type == .data { keep(headerKey, of: session, at: now) }

    if header.count == 1 {
      var packet = datagram.slice(FragmentHeader.size..<datagram.byteCount)
      let outcome = packetReceived(&packet, header, type, for: session, from: source, at: now)
      guard case .message(let id, let range) = outcome else { return outcome }
      return .message(id, range: range.lowerBound + FragmentHeader.size..<range.upperBound + FragmentHeader.size)
    }
    let payload = datagram.bytes.extracting(FragmentHeader.size..<datagram.byteCount)
    let deadline = session.reassembly.nextDeadline
    let reception = fragmentReceived(payload, header, type, for: session, from: source, at: now)
    if session.reassembly.nextDeadline != deadline { schedule(session) }
    return reception
  }

  /// A header of the session's peer was uncovered: its keys are in use.
  mutating func keep(_ headerKey: any HeaderKey, of session: Session, at now: Instant) {
    memory.keys.use(session, at: now)
    session.keep(receiving: headerKey)
  }

  /// Takes in one of several fragments. Whoever calls sets the session's timer.
  @inline(__always)
  mutating func fragmentReceived(
    _ payload: RawSpan, _ header: FragmentHeader, _ type: PacketType, for session: Session, from source: Address,
    at now: Instant
  ) -> Reception {
    let outcome = reassemble(
      header, payload, for: session, at: now, openedBy: type == .data ? session.key(header.keyID) : nil)
    switch outcome {
    case .stored: return .handled
    case .refused(let reason): return .dropped(reason)
    case .opened(let message, let stream):
      session.key(header.keyID)?.giveBack(stream)
      let outcome = dataOpened(message.count, header, for: session, from: source, at: now)
      guard case .message(let id, _) = outcome else { return outcome }
      return .assembled(id, message: message)
    case .complete(var packet):
      let outcome = packet.withMutableBytes { bytes in
        packetReceived(&bytes, header, type, for: session, from: source, at: now)
      }
      guard case .message(let id, let range) = outcome else { return outcome }
      packet.removeLast(packet.count - range.upperBound)
      return .assembled(id, message: packet)
    }
  }

  /// Puts a packet together. Where it is too much for the endpoint, another makes room (section 14).
  @inline(__always)
  private mutating func reassemble(
    _ header: FragmentHeader, _ payload: RawSpan, for holder: some ReassemblyHolder, at now: Instant,
    openedBy key: @autoclosure () -> SessionKey? = nil
  ) -> SessionReassembly.Outcome {
    let outcome = memory.packets.insert(
      header, payload, of: holder, surroundings.configuration.provider, at: now, openedBy: key())
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

  /// A packet for a session is complete.
  private mutating func packetReceived(
    _ packet: inout MutableRawSpan, _ header: FragmentHeader, _ type: PacketType, for session: Session,
    from source: Address, at now: Instant
  ) -> Reception {
    if type == .response { return responseReceived(packet.bytes, header, for: session, at: now) }
    guard let key = session.key(header.keyID) else { return .dropped(.implausible) }
    guard type == .data else {
      return controlReceived(&packet, header, type, key, for: session, from: source, at: now)
    }
    // [CTRL-7]
    guard key.receivingKey(provider).open(&packet, nonce: header.nonce, authenticating: RawSpan()) else {
      return .dropped(.notAuthentic)
    }
    return dataOpened(packet.byteCount - PacketSize.tag, header, for: session, from: source, at: now)
  }

  /// A data packet was authentic, and its plaintext has `size` bytes.
  private mutating func dataOpened(
    _ size: Int, _ header: FragmentHeader, for session: Session, from source: Address, at now: Instant
  ) -> Reception {
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

  /// A packet was authentic: its counter is used up, and if it is the newest, its source is where
  /// the peer is now, whatever type it has (section 14).
  /// - Returns: whether its counter was still acceptable.
  private mutating func accept(
    _ header: FragmentHeader, for session: Session, from source: Address, at now: Instant
  ) -> Bool {
    // [CTR-7] [CTR-8] [DEC-30] [DEC-31]
    guard let hasMoved = session.accept(header.counter, from: source, at: now) else { return false }
    if hasMoved { move(session, to: source) }
    return true
  }

  /// X2 is complete.
  private mutating func responseReceived(
    _ packet: RawSpan, _ header: FragmentHeader, for session: Session, at now: Instant
  ) -> Reception {
    do {
      perform(try session.responseReceived(packet, header, surroundings), for: session, at: now)
      return .handled
    } catch { return .dropped(error.reason) }
  }

  /// A control packet is complete. Its tag is checked under kek before anything else happens.
  private mutating func controlReceived(
    _ packet: inout MutableRawSpan, _ header: FragmentHeader, _ type: PacketType, _ key: SessionKey,
    for session: Session, from source: Address, at now: Instant
  ) -> Reception {
    let size = type == .rekeyInit || type == .rekeyComplete ? PacketSize.rekey : PacketSize.tag
    // [PKT-6]
    guard packet.byteCount == size else { return .dropped(.malformed) }
    // [DEC-30] [KK-17] [PKT-8] [TIME-10]
    guard key.makeExchangeReceivingKey(provider).open(&packet, nonce: header.nonce, authenticating: RawSpan()) else {
      return .dropped(.notAuthentic)
    }
    guard accept(header, for: session, from: source, at: now) else { return .dropped(.replayed) }
    do {
      let actions = try session.controlReceived(type, packet.bytes, under: key, surroundings, at: now)
      perform(actions, for: session, at: now)
      return .handled
    } catch { return .dropped(error.reason) }
  }
}
