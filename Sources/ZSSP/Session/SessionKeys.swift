// SPDX-License-Identifier: Apache-2.0

/// The keys of a session, with the counter that they share for sending and the window of what was received.
///
/// Which key goes where is decided by the session's machines; what goes with it happens here.
struct SessionKeys: ~Copyable {
  // What a data packet needs comes first, in a few lines of memory: see ``Endpoint/prefetch(_:)``.

  // [CTR-1]
  /// The counter of the next packet of types 3 to 8 (section 4).
  private(set) var counter: UInt64 = 0
  /// What sending takes, while the session is in use. It goes with each of the keys that it was made of.
  private var sendContext: SendContext?
  /// The key for sending.
  private(set) var current: SessionKey?
  // [KK-15]
  /// The next key in A3 and R2, else the previous one while it is accepted.
  private(set) var other: SessionKey?
  // [NOISE-15]
  /// hk for sending and receiving, from X1 on.
  private var headers: HeaderKeyPair?
  /// When the previous key is erased; in the distant future while the other key is not that.
  private(set) var previousDeadline = Instant.distantFuture
  // [CTR-3]
  /// Which counters of the peer were received.
  private(set) var window = ReplayWindow()

  /// No keys.
  init() {}

  // MARK: Finding keys

  // [CTRL-7]
  /// The key that the peer means by `keyID`.
  func key(_ keyID: KeyID) -> SessionKey? {
    if let current, current.localID == keyID { return current }
    if let other, other.localID == keyID { return other }
    return nil
  }

  // [DEC-42]
  /// How often `key` was used at most: the counters taken since it was made.
  private func uses(of key: SessionKey) -> UInt64 { counter - key.firstCounter }

  // MARK: Headers

  /// Whether there are header keys.
  var hasHeaders: Bool { headers != nil }

  /// The key that uncovers headers; nil before there is one.
  func headerReceivingKey(_ provider: any CryptoProvider) -> (any HeaderKey)? { headers?.receivingKey(provider) }

  /// The key that protects headers; nil before there is one. Where none is kept it is made: handshakes and control packets are too
  /// rare to keep one for.
  func headerSendingKey(_ provider: any CryptoProvider) -> (any HeaderKey)? {
    switch sendContext {
    case .some(let path): path.headerKey
    case nil: headers?.makeSendingKey(provider)
    }
  }

  /// Keeps the key that has uncovered a header of the peer's.
  mutating func keep(receiving key: any HeaderKey) { headers?.keep(receiving: key) }

  /// The session has other header keys. Nothing is expanded before the session has a place for it.
  mutating func setHeaders(_ keys: HeaderKeyPair?) {
    headers = keys
    headers?.evictExpanded()
    sendContext = nil
  }

  // MARK: Which key is which

  /// Keeps a new key beside the one for sending, in the place of the previous one, which is erased.
  ///
  /// - Returns: the id of the erased key.
  mutating func prepare(_ key: SessionKey) -> KeyID? {
    let erased = other?.localID
    setOther(key)
    return erased
  }

  /// Sends under the key that was prepared. The one before, if there is one, is kept for what is late.
  mutating func usePrepared() {
    let previous = current
    setCurrent(other)
    setOther(previous)
  }

  /// Sends under a new key. The one before is kept for what is late, in the place of an older one, which is erased.
  ///
  /// - Returns: the id of the erased key.
  mutating func use(_ key: SessionKey) -> KeyID? {
    let erased = other?.localID
    setOther(current)
    setCurrent(key)
    return erased
  }

  // [DEC-39]
  /// Both sides use the current key: what comes under the previous one is late, and it is erased at a deadline.
  mutating func setPreviousDeadline(_ deadline: Instant) {
    if other != nil { previousDeadline = deadline }
  }

  // [DEC-39] [KK-15]
  /// Erases the previous key.
  ///
  /// - Returns: its id, if there was one.
  mutating func erasePrevious() -> KeyID? {
    let erased = other?.localID
    setOther(nil)
    return erased
  }

  /// Erases all keys, those of headers too, and begins the counters anew.
  ///
  /// - Returns: their ids.
  mutating func erase() -> [KeyID] {
    let ids = [current?.localID, other?.localID].compactMap(\.self)
    setCurrent(nil)
    setOther(nil)
    setHeaders(nil)
    counter = 0
    window = ReplayWindow()
    return ids
  }

  private mutating func setCurrent(_ key: SessionKey?) {
    current = key
    sendContext = nil
  }

  private mutating func setOther(_ key: SessionKey?) {
    other = key
    previousDeadline = .distantFuture
  }

  // MARK: Sending

  /// Takes out what sending needs, and makes it where it was given up; nil before there is a key. The session has it back when
  /// the messages are sealed.
  @inline(__always)
  mutating func takeSendContext(_ provider: any CryptoProvider) -> SendContext? {
    if let path = sendContext.take() { return path }
    // A session has a current key in the states in which data may be sent, S1, S2, R1 and R2, and in no other.
    guard let current, let headerKey = headerSendingKey(provider) else { return nil }
    return SendContext(current, headerKey, provider)
  }

  /// Takes back what was taken for sending, with the counter of the next packet.
  @inline(__always)
  mutating func giveBack(_ path: consuming SendContext, counter: UInt64) {
    sendContext = consume path
    self.counter = counter
  }

  /// Seals a control packet, C1, C2, K1 or K2, under the kek of a key. The session ends when the key may not be used again
  /// (section 4). A counter is never taken twice, whatever becomes of the packet.
  mutating func control(
    _ type: PacketType, _ body: [UInt8] = [], under key: SessionKey?, _ configuration: borrowing EndpointConfiguration
  ) -> Action? {
    guard let key, hasHeaders else { return nil }
    // [CTR-10] [DEC-42]
    guard uses(of: key) < configuration.settings.keyUseLimit else { return .end(.keyExhausted) }
    // [CTR-1]
    defer { counter += 1 }
    var packet = [UInt8](repeating: 0, count: body.count + PacketSize.tag)
    // [CTRL-1] [KK-8] [PKT-8]
    let exchangeKey = key.makeExchangeSendingKey(configuration.provider)
    packet.withMutableBytes {
      exchangeKey.seal(body.rawBytes, nonce: Nonce(type, counter), authenticating: RawSpan(), into: &$0)
    }
    return .send(OutgoingPacket(type: type, counter: counter, keyID: key.remoteID, bytes: packet))
  }

  // MARK: Receiving

  // [CTR-7] [CTR-8]
  /// Uses up the counter of a packet that was authentic.
  ///
  /// - Returns: whether it is the newest so far; nil if it is no longer acceptable.
  mutating func accept(_ counter: UInt64) -> Bool? {
    let isNewest = counter >= window.next
    return window.accept(counter) ? isNewest : nil
  }

  /// Lets `body` open packets against the window, so that it is looked up once for many.
  @inline(__always)
  mutating func withWindow<Result>(_ body: (inout ReplayWindow) -> Result) -> Result { body(&window) }

  // MARK: Memory

  /// Gives up all keyed objects. They are made again when they are used.
  mutating func evictExpanded() {
    sendContext = nil
    headers?.evictExpanded()
    current?.evictExpanded()
    other?.evictExpanded()
  }

  /// Has the expanded keys fetched, or reads from what they are made of; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  borrowing func prefetchKeys() -> UInt64 {
    switch sendContext {
    case .some(let path):
      path.prefetch()
      return 0
    case nil:
      let found = headers?.prefetch() ?? 0
      guard let current else { return found }
      return unsafe found &+ Unmanaged.passUnretained(current)._withUnsafeGuaranteedRef { $0.prefetch() }
    }
  }

  /// Reads from the secrets of the key for sending; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  borrowing func prefetchSecrets() -> UInt64 {
    guard sendContext == nil, let current else { return 0 }
    return unsafe Unmanaged.passUnretained(current)._withUnsafeGuaranteedRef { $0.prefetchSecrets() }
  }

  /// Goes on with another counter, for tests.
  mutating func skip(to counter: UInt64) { self.counter = counter }
}
