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

extension Endpoint {
  /// The door for everything that comes from the network.
  ///
  /// - Parameters:
  ///   - datagram: the datagram, which is decrypted where it lies. Its content is unspecified afterwards, but for the
  ///     plaintext of a message.
  ///   - source: where it came from.
  public mutating func receive(
    _ datagram: inout MutableRawSpan, from source: Address, at now: Instant
  ) -> Reception {
    statistics.datagramsReceived += 1
    statistics.bytesReceived += UInt64(datagram.byteCount)
    let reception = admit(&datagram, from: source, at: now)
    if case .dropped(let reason) = reception { drop(reason) }
    return reception
  }

  private mutating func admit(
    _ datagram: inout MutableRawSpan, from source: Address, at now: Instant
  ) -> Reception {
    guard (FragmentHeader.smallestDatagram...Settings.largestMTU).contains(datagram.byteCount) else {
      return .dropped(.badLength)
    }
    let keyID = KeyID(datagram.bytes)
    guard keyID != .none else { return receiveFromStranger(&datagram, from: source, at: now) }
    switch keyIDs[keyID] {
    case .session(let session): return receive(&datagram, for: session, from: source, at: now)
    case .halfOpen(let handshake): return receive(&datagram, for: handshake, at: now)
    case nil: return .dropped(.unknownKeyID)
    }
  }

  /// X1 and challenges, the only packets without header protection.
  private mutating func receiveFromStranger(
    _ datagram: inout MutableRawSpan, from source: Address, at now: Instant
  ) -> Reception {
    guard let header = FragmentHeader(datagram.bytes) else { return .dropped(.malformed) }
    let payload = datagram.bytes.extracting(FragmentHeader.size..<datagram.byteCount)
    switch PacketType(rawValue: header.type) {
    case .hello:
      switch hellos.insert(header, payload, from: source, at: now) {
      case .stored: return .handled
      case .refused(let reason): return .dropped(reason)
      case .complete(let packet): return helloReceived(packet, header, from: source, at: now)
      }
    case .challenge:
      return challengeReceived(payload, header)
    default:
      return .dropped(.implausible)
    }
  }

  /// Uncovers the header of a fragment for a session, and takes it in if it is plausible (section 5).
  private mutating func receive(
    _ datagram: inout MutableRawSpan, for session: Session, from source: Address, at now: Instant
  ) -> Reception {
    guard let headerKey = session.headerKeys?.receivingKey(provider) else { return .dropped(.implausible) }
    uncover(&datagram, headerKey)
    return receiveUncovered(&datagram, by: headerKey, for: session, from: source, at: now)
  }

  /// Takes in a fragment for a session whose header is uncovered, which `headerKey` did.
  mutating func receiveUncovered(
    _ datagram: inout MutableRawSpan, by headerKey: any HeaderKey, for session: Session, from source: Address,
    at now: Instant
  ) -> Reception {
    guard let header = FragmentHeader(datagram.bytes), let type = PacketType(rawValue: header.type) else {
      return .dropped(.malformed)
    }
    switch type {
    case .response:
      guard case .a1(.sent) = session.state, session.offeredKeyID == header.keyID, header.counter < 1 << 24 else {
        return .dropped(.implausible)
      }
    case .keyConfirm, .acknowledge, .rekeyInit, .rekeyComplete, .rejected, .data:
      guard session.key(header.keyID) != nil else { return .dropped(.implausible) }
      guard session.replayWindow.accepts(header.counter) else { return .dropped(.replayed) }
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
    let outcome = session.reassembly.insert(header, payload, at: now) {
      type == .data ? session.key(header.keyID)?.takeReceivingStream(configuration.provider) : nil
    }
    if session.reassembly.nextDeadline != deadline { schedule(session) }
    switch outcome {
    case .stored: return .handled
    case .refused(let reason): return .dropped(reason)
    case .opened(let message, let stream):
      session.key(header.keyID)?.giveBack(stream)
      return messageOpened(message, header, for: session, from: source)
    case .complete(let packet): return packetCompleted(packet, header, type, for: session, from: source, at: now)
    }
  }

  /// The last fragment of a packet came, which is not opened yet.
  mutating func packetCompleted(
    _ packet: consuming [UInt8], _ header: FragmentHeader, _ type: PacketType, for session: Session,
    from source: Address, at now: Instant
  ) -> Reception {
    let outcome = packet.withMutableBytes { bytes in
      packetReceived(&bytes, header, type, for: session, from: source, at: now)
    }
    guard case .message(let id, let range) = outcome else { return outcome }
    packet.removeLast(packet.count - range.upperBound)
    return .assembled(id, message: packet)
  }

  /// Uncovers the header of a fragment of X3, and takes it in if it is plausible.
  private mutating func receive(
    _ datagram: inout MutableRawSpan, for handshake: HalfOpenHandshake, at now: Instant
  ) -> Reception {
    guard handshake.isWaiting, let headerKey = handshake.headerKeys?.receivingKey(provider) else {
      return .dropped(.busy)
    }
    handshake.headerKeys?.keep(receiving: headerKey)
    uncover(&datagram, headerKey)
    guard let header = FragmentHeader(datagram.bytes) else { return .dropped(.malformed) }
    guard header.type == PacketType.completion.rawValue, header.counter == 0 else { return .dropped(.implausible) }
    let payload = datagram.bytes.extracting(FragmentHeader.size..<datagram.byteCount)
    if header.count == 1 { return completionReceived(handshake, payload.array) }
    let outcome = handshake.reassembly.insert(header, payload, at: now)
    timers.set(handshake, to: handshake.nextDeadline)
    switch outcome {
    case .stored: return .handled
    case .refused(let reason): return .dropped(reason)
    case .complete(let packet): return completionReceived(handshake, packet)
    // No stream was given for it.
    case .opened: return .dropped(.implausible)
    }
  }

  private func uncover(_ datagram: inout MutableRawSpan, _ headerKey: any HeaderKey) {
    var block = datagram.slice(FragmentHeader.protectedBytes)
    headerKey.decrypt(&block)
  }

  /// A packet for a session is complete.
  private mutating func packetReceived(
    _ packet: inout MutableRawSpan, _ header: FragmentHeader, _ type: PacketType, for session: Session,
    from source: Address, at now: Instant
  ) -> Reception {
    if type == .response { return responseReceived(session, packet.bytes, header) }
    guard let key = session.key(header.keyID) else { return .dropped(.implausible) }
    guard type == .data else { return controlReceived(&packet, header, type, key, for: session, at: now) }

    guard key.receivingKey(provider).open(&packet, nonce: header.nonce, authenticating: RawSpan()) else {
      return .dropped(.notAuthentic)
    }
    return dataOpened(packet.byteCount - PacketSize.tag, header, for: session, from: source)
  }

  /// A data packet of several fragments was authentic.
  mutating func messageOpened(
    _ message: [UInt8], _ header: FragmentHeader, for session: Session, from source: Address
  ) -> Reception {
    let outcome = dataOpened(message.count, header, for: session, from: source)
    guard case .message(let id, _) = outcome else { return outcome }
    return .assembled(id, message: message)
  }

  /// A data packet was authentic, and its plaintext has `size` bytes.
  private mutating func dataOpened(
    _ size: Int, _ header: FragmentHeader, for session: Session, from source: Address
  ) -> Reception {
    let isNewest = header.counter >= session.replayWindow.next
    guard session.replayWindow.accept(header.counter) else { return .dropped(.replayed) }
    if isNewest, source != session.address { move(session, to: source) }
    statistics.messagesReceived += 1
    session.statistics.messagesReceived += 1
    session.statistics.bytesReceived += UInt64(size)
    return .message(session.id, range: 0..<size)
  }

  /// Follows the peer to another address.
  mutating func move(_ session: Session, to address: Address) {
    events.push(.moved(session.id, from: session.address, to: address))
    session.address = address
  }
}
