// SPDX-License-Identifier: Apache-2.0

/// What it takes to send data on a session, in one place: the keys, expanded, and what is fixed for as long as the current key is.
///
/// It is moved out of the session while messages are sent and back afterwards (``SendRun``), and not copied: a copy would
/// count a reference to each of the keys, which with sessions that are in no cache costs more than to seal a short message.
struct SendPath: ~Copyable {
  /// Seals data.
  let packetKey: any PacketKey
  /// Protects headers.
  let headerKey: any HeaderKey
  /// Seals data of several fragments, once there was such a message and where the provider can do it piece by piece.
  private var stream: (any PacketStream)?
  /// The peer's name for the key.
  let keyID: KeyID
  /// The session's send counter when the key was made; uses count from there (section 4).
  let firstCounter: UInt64

  init(_ key: SessionKey, _ headerKey: any HeaderKey, _ provider: any CryptoProvider) {
    packetKey = key.makeSendingKey(provider)
    self.headerKey = headerKey
    keyID = key.remoteID
    firstCounter = key.firstCounter
  }

  /// Seals data of several fragments piece by piece; nil where the provider cannot do so.
  mutating func takeStream() -> (any PacketStream)? {
    stream.take() ?? packetKey.makeStream()
  }

  /// Keeps the stream for the next message.
  mutating func giveBack(_ stream: any PacketStream) { self.stream = stream }

  /// Has the keys fetched from memory; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  borrowing func prefetch() {
    packetKey.prefetch()
    headerKey.prefetch()
  }
}

extension Endpoint {
  /// Takes what sending needs out of the session, and makes it where it was given up; nil before there is a key. The session has
  /// it back when the messages are sealed.
  mutating func takeSendPath(_ session: Session, at now: Instant) -> SendPath? {
    if session.sendPath != nil {
      expandedKeys.use(session, at: now)
      return session.sendPath.take()
    }
    // A session has a current key in the states in which data may be sent, S1, S2, R1 and R2, and in no other.
    guard let key = session.currentKey, let headerKey = headerSendingKey(session) else { return nil }
    expandedKeys.use(session, at: now)
    return SendPath(key, headerKey, provider)
  }

  /// The key that protects the session's headers; nil before there is one. Where none is kept it is made: handshakes and control packets
  /// are too rare to keep one for.
  func headerSendingKey(_ session: Session) -> (any HeaderKey)? {
    if let key = session.keptHeaderSendingKey { return key }
    return session.headerKeys?.makeSendingKey(provider)
  }
}

extension Session {
  /// The key that protects headers, if it is expanded.
  fileprivate var keptHeaderSendingKey: (any HeaderKey)? {
    switch sendPath {
    case .some(let path): path.headerKey
    case nil: nil
    }
  }
}
