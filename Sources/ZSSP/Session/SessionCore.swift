// SPDX-License-Identifier: Apache-2.0

/// What a session has in every state.
struct SessionCore: ~Copyable {
  /// Whether the peer is still there. What each packet changes of it is its last field, beside the address.
  var liveness = Liveness()

  // What a data packet needs lies together: see ``Endpoint/prefetch(_:)``.

  /// Where to send.
  private(set) var address: Address
  /// The largest datagram that the path takes, as far as is known; 0 for ``Settings/mtu``.
  private var narrowing: UInt16 = 0
  private(set) var statistics = SessionStatistics()
  /// The keys. Their window is large, so they come last of what a data packet needs.
  var keys = SessionKeys()

  let id: SessionID
  /// The peer's static key.
  let peer: PublicKey
  /// The side in the XK handshake.
  private(set) var role: Role
  /// Why the handshake started anew the last time.
  var lastRestart: RestartReason?

  init(_ id: SessionID, _ role: Role, peer: PublicKey, address: Address) {
    (self.id, self.role, self.peer, self.address) = (id, role, peer, address)
  }

  /// The session goes on in a handshake that the peer began.
  mutating func become(_ role: Role, at address: Address) { (self.role, self.address) = (role, address) }

  // [DEC-86]
  /// Whether the peer, or the way to it, is elsewhere if its newest packet came by this path. Whoever opened the session has its
  /// own address chosen by the system, which follows its routes.
  func isElsewhere(_ source: Address) -> Bool {
    source != address || source.localIndex != address.localIndex && role == .responder
  }

  // [DEC-86]
  /// Follows the peer to another address, or is reached at another.
  mutating func move(to address: Address) {
    self.address = role == .responder ? address : address.reached(at: self.address.localIndex)
  }

  // [DEC-87]
  /// The largest datagram of data.
  @inline(__always)
  borrowing func datagramLimit(_ settings: borrowing Settings) -> Int {
    narrowing == 0 ? settings.mtu : Int(narrowing)
  }

  /// The largest datagram of data; nil for ``Settings/mtu``.
  var narrowedLimit: Int? { narrowing == 0 ? nil : Int(narrowing) }

  // [DEC-87]
  /// Sets the largest datagram of data, within what the settings allow. Returns what it is then.
  mutating func setDatagramLimit(_ limit: Int?, _ settings: Settings) -> Int {
    let bounded = min(settings.mtu, max(Settings.smallestDatagramLimit, limit ?? settings.mtu))
    narrowing = bounded == settings.mtu ? 0 : UInt16(clamping: bounded)
    return bounded
  }

  /// A control packet, sealed under the kek of `key`.
  mutating func send(
    _ type: PacketType, _ body: [UInt8] = [], under key: SessionKey?, _ configuration: borrowing EndpointConfiguration
  ) -> [Action] {
    keys.control(type, body, under: key, configuration).map { [$0] } ?? []
  }

  /// C1 under `key`, which the peer must answer.
  mutating func probe(
    under key: SessionKey?, _ configuration: borrowing EndpointConfiguration, at now: Instant
  ) -> [Action] {
    liveness.probed(at: now)
    return send(.keyConfirm, under: key, configuration)
  }

  mutating func countHandshake() { statistics.handshakes += 1 }
  mutating func countRekey() { statistics.rekeys += 1 }

  mutating func countReceived(messages: UInt64, bytes: UInt64) {
    statistics.messagesReceived += messages
    statistics.bytesReceived += bytes
  }

  mutating func countSent(messages: Int, bytes: Int) {
    statistics.messagesSent += UInt64(messages)
    statistics.bytesSent += UInt64(bytes)
  }

  /// Reads from the lines that have what a data packet needs; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  borrowing func prefetch() -> UInt64 {
    keys.counter &+ UInt64(address.port) &+ statistics.messagesReceived &+ statistics.rekeys
  }
}
