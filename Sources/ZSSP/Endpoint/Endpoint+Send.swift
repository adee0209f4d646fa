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
    try send(on: id, at: now) { run throws(SendError) in try run.append(message) }
  }

  /// Seals as many messages as `body` appends to the run, and puts their datagrams into the ``outbox``.
  ///
  /// Cheaper than one by one, and messages of one size come to lie in one ``DatagramBatch/Run``. When `body` throws, what
  /// it had appended before is sent.
  public mutating func send(
    on id: SessionID, at now: Instant, _ body: (inout SendRun) throws(SendError) -> Void
  ) throws(SendError) {
    guard let session = sessions[id] else { throw .unknownSession }
    guard let path = takeSendPath(session, at: now) else { throw .notEstablished }
    var run = SendRun(path, session, configuration.settings)
    swap(&run.outbox, &outbox)
    swap(&run.scratch, &scratch)
    let sentBefore = run.outbox.tally
    var failure: SendError?
    do { try body(&run) } catch { failure = error }
    run.protectHeaders()
    swap(&run.outbox, &outbox)
    swap(&run.scratch, &scratch)
    session.sendCounter = run.counter
    let isUsedUp = run.uses >= configuration.settings.rekeyUses
    countSent(since: sentBefore)
    statistics.messagesSent += UInt64(run.count)
    session.statistics.messagesSent += UInt64(run.count)
    session.statistics.bytesSent += UInt64(run.byteCount)
    session.sendPath = run.finish()
    if isUsedUp { rekeyByUse(session, at: now) }
    if let failure {
      if failure == .keyExhausted { end(session, .keyExhausted) }
      throw failure
    }
  }

  /// The key was used so often that it is time for another (section 4).
  private mutating func rekeyByUse(_ session: Session, at now: Instant) {
    guard case .s2 = session.state, session.pending == nil else { return }
    beginRekey(session, at: now)
    schedule(session)
  }

  /// Sends a control packet, C1, C2, K1 or K2, under the kek of `key`. It always fits into one datagram.
  mutating func sendControl(
    _ type: PacketType, _ body: [UInt8] = [], on session: Session, under key: SessionKey?
  ) {
    guard let key, let headerKey = headerSendingKey(session), let counter = takeCounter(session, key) else { return }
    var packet = [UInt8](repeating: 0, count: body.count + PacketSize.tag)
    let exchangeKey = key.makeExchangeSendingKey(provider)
    packet.withMutableBytes {
      exchangeKey.seal(body.rawBytes, nonce: Nonce(type, counter), authenticating: RawSpan(), into: &$0)
    }
    sendFragments(of: packet.rawBytes, type, counter, to: session.address, key.remoteID, under: headerKey)
  }

  /// Takes the next counter for a use of `key`. Nil, and the end of the session, when the key may not be used again
  /// (section 4). A counter is never taken twice, whatever becomes of the packet.
  private mutating func takeCounter(_ session: Session, _ key: SessionKey) -> UInt64? {
    guard session.uses(of: key) < settings.keyUseLimit else {
      end(session, .keyExhausted)
      return nil
    }
    defer { session.sendCounter += 1 }
    return session.sendCounter
  }

  /// Cuts a packet into datagrams (section 5). Without a header key they go unprotected, as X1 and challenges do.
  mutating func sendFragments(
    of packet: RawSpan, _ type: PacketType, _ counter: UInt64, to address: Address, _ keyID: KeyID,
    under headerKey: (any HeaderKey)?
  ) {
    let sentBefore = outbox.tally
    outbox.append(
      fragmentsOf: packet, type, counter, to: address, keyID, under: headerKey, mtu: configuration.settings.mtu)
    countSent(since: sentBefore)
  }

  private mutating func countSent(since before: DatagramBatch.Tally) {
    let now = outbox.tally
    statistics.datagramsSent += UInt64(now.datagrams - before.datagrams)
    statistics.bytesSent += UInt64(now.bytes - before.bytes)
  }
}
