// SPDX-License-Identifier: Apache-2.0

/// The keys of a session, with their common send counter and the window of received counters.
///
/// The session's machines decide which key is used for what. This type keeps everything that
/// depends on it up to date.
struct SessionKeys: ~Copyable {
  // The fields that a data packet needs come first, in a few cache lines: see
  // ``Endpoint/prefetch(_:)``.

  // [CTR-1]
  /// The counter of the next packet of types 3 to 8 (section 4).
  private(set) var counter: UInt64 = 0
  /// The context for sending, while the session is in use. It is discarded with any of the keys
  /// that it was made of.
  private var sendContext: SendContext?
  /// The key for sending.
  private(set) var current: SessionKey?
  // [KK-15]
  /// The next key in A3 and R2; otherwise the previous one while it is accepted.
  private(set) var other: SessionKey?
  // [NOISE-15]
  /// hk for sending and receiving, from X1 on.
  private var headers: HeaderKeyPair?
  /// The time when the previous key is erased. The distant future while ``other`` is not the
  /// previous key.
  private(set) var previousDeadline = Instant.distantFuture
  // [CTR-3]
  /// The received counters of the peer.
  private(set) var window = ReplayWindow()

  /// Creates an object without keys.
  init() {}

  // MARK: Finding keys

  // [CTRL-7]
  /// Returns the key that has `keyID` on this side.
  func key(_ keyID: KeyID) -> SessionKey? {
    if let current, current.localID == keyID { return current }
    if let other, other.localID == keyID { return other }
    return nil
  }

  // [DEC-42]
  /// Returns the number of counters used since `key` was made, which is at least its number of
  /// uses.
  private func uses(of key: SessionKey) -> UInt64 { counter - key.firstCounter }

  // MARK: Headers

  /// True if there are header keys.
  var hasHeaders: Bool { headers != nil }

  /// Returns the key that removes header protection; nil before there is one.
  func headerReceivingKey(_ provider: any CryptoProvider) -> (any HeaderKey)? { headers?.receivingKey(provider) }

  /// Returns the key that protects headers; nil before there is one. It is made if none is cached:
  /// handshakes and control packets are too rare to cache one for them.
  func headerSendingKey(_ provider: any CryptoProvider) -> (any HeaderKey)? {
    switch sendContext {
    case .some(let path): path.headerKey
    case nil: headers?.makeSendingKey(provider)
    }
  }

  #if KeyLog
    /// Returns the header keys by their direction in a handshake in which this side is `role`.
    func directionalHeaders(_ role: Role) -> DirectionalKeys? { headers?.directional(role) }
  #endif

  /// Caches the key that has removed the header protection of a genuine packet.
  mutating func keep(receiving key: any HeaderKey) { headers?.keep(receiving: key) }

  /// Sets the header keys. Nothing is expanded before the session has a slot in the cache.
  mutating func setHeaders(_ keys: HeaderKeyPair?) {
    headers = keys
    headers?.evictExpanded()
    sendContext = nil
  }

  // MARK: Roles of keys

  /// Adds a new key beside the one for sending. It replaces the previous key, which is erased.
  ///
  /// - Returns: the id of the erased key.
  mutating func prepare(_ key: SessionKey) -> KeyID? {
    let erased = other?.localID
    setOther(key)
    return erased
  }

  /// Sends with the prepared key from now on. The one before, if any, is kept for late packets.
  mutating func usePrepared() {
    let previous = current
    setCurrent(other)
    setOther(previous)
  }

  /// Sends with a new key from now on. The one before is kept for late packets, and replaces an
  /// older one, which is erased.
  ///
  /// - Returns: the id of the erased key.
  mutating func use(_ key: SessionKey) -> KeyID? {
    let erased = other?.localID
    setOther(current)
    setCurrent(key)
    return erased
  }

  // [DEC-39]
  /// Sets the time when the previous key is erased. Both sides use the current key, so packets
  /// under the previous one are late.
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

  /// Erases all keys, including header keys, and resets the counters.
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

  /// Takes out the context for sending; nil if it was evicted, or before there is a key. The
  /// session gets it back after the messages were sealed.
  @inline(__always)
  mutating func takeSendContext() -> SendContext? { sendContext.take() }

  /// Makes the context for sending; nil before there is a key.
  func makeSendContext(_ provider: any CryptoProvider) -> SendContext? {
    // A session has a current key only in the states in which data may be sent: S1, S2, R1 and R2.
    guard let current, let headerKey = headerSendingKey(provider) else { return nil }
    return SendContext(current, headerKey: headerKey, provider: provider)
  }

  /// Puts the context for sending back, with the counter of the next packet.
  @inline(__always)
  mutating func giveBack(_ path: consuming SendContext, counter: UInt64) {
    sendContext = consume path
    self.counter = counter
  }

  /// Seals a control packet, C1, C2, K1, K2 or D, with the kek of a key. If the key may not be used
  /// again, returns the end of the session (section 4). A counter is never used twice, even if the
  /// packet is not sent.
  mutating func control(
    _ type: PacketType, body: [UInt8] = [], under key: SessionKey?, configuration: borrowing EndpointConfiguration
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
      exchangeKey.seal(body.rawBytes, nonce: Nonce(type, counter: counter), authenticating: RawSpan(), into: &$0)
    }
    return .send(OutgoingPacket(type: type, counter: counter, keyID: key.remoteID, bytes: packet))
  }

  // MARK: Receiving

  // [CTR-7] [CTR-8]
  /// Marks the counter of an authentic packet as used.
  ///
  /// - Returns: true if it is the newest so far; nil if it is no longer acceptable.
  mutating func accept(_ counter: UInt64) -> Bool? {
    let isNewest = counter >= window.next
    return window.accept(counter) ? isNewest : nil
  }

  /// Calls `body` with the replay window, so that it is looked up once for many packets.
  @inline(__always)
  mutating func withWindow<Result>(_ body: (inout ReplayWindow) -> Result) -> Result { body(&window) }

  // MARK: Memory

  /// Evicts all keyed objects. They are made again when they are used.
  mutating func evictExpanded() {
    sendContext = nil
    headers?.evictExpanded()
    current?.evictExpanded()
    other?.evictExpanded()
  }

  /// Prefetches the expanded keys, or reads from the secrets that they are made of; see
  /// ``Endpoint/prefetch(_:)``.
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

  /// Continues with another counter, for tests.
  mutating func skip(to counter: UInt64) { self.counter = counter }
}
