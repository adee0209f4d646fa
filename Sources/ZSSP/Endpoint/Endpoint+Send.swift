// SPDX-License-Identifier: Apache-2.0

/// Why a message was not sent.
public enum SendError: Error, Hashable {
  /// The session has ended, or never was.
  case unknownSession
  /// The handshake is not complete yet.
  case notEstablished
  /// The message is longer than ``Settings/largestMessage``.
  case messageTooLarge(size: Int, limit: Int)
  /// The key was used as often as it may be; the session has ended.
  case keyExhausted
}

extension SendError: CustomStringConvertible {
  /// What is wrong and what would be right.
  public var description: String {
    switch self {
    case .unknownSession: "the session has ended"
    case .notEstablished: "the session is not established yet"
    case .messageTooLarge(let size, let limit):
      "a message of \(size) bytes is too large: at this MTU the limit is \(limit) bytes"
    case .keyExhausted: "the session's key has been used as often as it may be"
    }
  }
}

extension Endpoint {
  /// Seals a message of 0…``Settings/largestMessage`` bytes and puts its datagrams into the ``outbox``.
  ///
  /// There is no guarantee that it arrives, nor that messages arrive in order; none arrives twice, or altered.
  public mutating func send(_ message: RawSpan, on id: SessionID, at now: Instant) throws(SendError) {
    guard let session = sessions[id] else { throw .unknownSession }
    guard session.state.canSend, let key = session.currentKey else { throw .notEstablished }
    let limit = settings.largestMessage
    guard message.byteCount <= limit else { throw .messageTooLarge(size: message.byteCount, limit: limit) }
    guard let counter = takeCounter(session, key) else { throw .keyExhausted }
    emit(message, .data, counter, under: key.sendingKey, on: session, to: key.remoteID)
    statistics.messagesSent += 1
    session.statistics.messagesSent += 1
    session.statistics.bytesSent += UInt64(message.byteCount)
    if session.uses(of: key) >= settings.rekeyUses, case .s2 = session.state, session.pending == nil {
      beginRekey(session, at: now)
      schedule(session)
    }
  }

  /// Takes the next counter for a use of `key`. Nil, and the end of the session, when the key may not be used again
  /// (section 4). A counter is never taken twice, whatever becomes of the packet.
  mutating func takeCounter(_ session: Session, _ key: SessionKey) -> UInt64? {
    guard session.uses(of: key) < settings.keyUseLimit else {
      end(session, .keyExhausted)
      return nil
    }
    defer { session.sendCounter += 1 }
    return session.sendCounter
  }

  /// Sends a control packet, C1, C2, K1 or K2, under the kek of `key`.
  mutating func sendControl(
    _ type: PacketType, _ body: [UInt8] = [], on session: Session, under key: SessionKey?
  ) {
    guard let key, let counter = takeCounter(session, key) else { return }
    emit(body.rawBytes, type, counter, under: key.makeExchangeSendingKey(), on: session, to: key.remoteID)
  }

  /// Seals `plaintext`, straight into the outbox if it fits into one datagram.
  private mutating func emit(
    _ plaintext: RawSpan, _ type: PacketType, _ counter: UInt64, under key: any PacketKey, on session: Session,
    to keyID: KeyID
  ) {
    guard let headerKey = session.headerSendingKey else { return }
    let nonce = Nonce(type, counter)
    let size = plaintext.byteCount + PacketSize.tag
    if size + FragmentHeader.size <= settings.mtu {
      let header = FragmentHeader(keyID: keyID, number: 0, count: 1, type: type, counter: counter)
      countSent(size + FragmentHeader.size)
      outbox.append(size: size + FragmentHeader.size, to: session.address) { datagram in
        header.write(to: &datagram)
        do {
          var body = datagram.slice(FragmentHeader.size..<FragmentHeader.size + size)
          key.seal(plaintext, nonce: nonce, authenticating: RawSpan(), into: &body)
        }
        var block = datagram.slice(FragmentHeader.protectedBytes)
        headerKey.encrypt(&block)
      }
    } else {
      var packet = scratch
      scratch = []
      if packet.count < size { packet.append(contentsOf: repeatElement(0, count: size - packet.count)) }
      packet.withMutableBytes { bytes in
        var body = bytes.slice(0..<size)
        key.seal(plaintext, nonce: nonce, authenticating: RawSpan(), into: &body)
      }
      sendFragments(
        of: packet.rawBytes.extracting(0..<size), type, counter, to: session.address, keyID, under: headerKey)
      scratch = packet
    }
  }

  /// Cuts a packet into datagrams (section 5). Without a header key they go unprotected, as X1 and challenges do.
  mutating func sendFragments(
    of packet: RawSpan, _ type: PacketType, _ counter: UInt64, to address: Address, _ keyID: KeyID,
    under headerKey: (any HeaderKey)?
  ) {
    let plan = FragmentPlan(size: packet.byteCount, mtu: settings.mtu)
    for number in 0..<plan.count {
      let payload = packet.extracting(plan.range(number))
      let header = FragmentHeader(keyID: keyID, number: number, count: plan.count, type: type, counter: counter)
      countSent(payload.byteCount + FragmentHeader.size)
      outbox.append(size: payload.byteCount + FragmentHeader.size, to: address) { datagram in
        header.write(to: &datagram)
        datagram.write(payload, at: FragmentHeader.size)
        guard let headerKey else { return }
        var block = datagram.slice(FragmentHeader.protectedBytes)
        headerKey.encrypt(&block)
      }
    }
  }

  private mutating func countSent(_ size: Int) {
    statistics.datagramsSent += 1
    statistics.bytesSent += UInt64(size)
  }
}
