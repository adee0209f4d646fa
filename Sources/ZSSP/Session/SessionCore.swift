// SPDX-License-Identifier: Apache-2.0

/// The part of a session that all states have.
struct SessionCore: ~Copyable {
  /// The check that the peer is reachable. Its last field is the one that each packet changes, next
  /// to the address.
  var liveness = Liveness()

  // The fields that a data packet needs lie together: see ``Endpoint/prefetch(_:)``.

  /// The address to send to.
  private(set) var address: Address
  /// The largest datagram that the path accepts, as far as is known; 0 for ``Settings/mtu``.
  private var narrowing: UInt16 = 0
  private(set) var statistics = SessionStatistics()
  /// The keys. Their window is large, so they are the last of the fields that a data packet needs.
  var keys = SessionKeys()

  let id: SessionID
  /// The peer's static key.
  let peer: PublicKey
  /// The role in the XK handshake.
  private(set) var role: Role
  /// The reason of the last restart of the handshake.
  private(set) var lastRestart: RestartReason?

  init(_ id: SessionID, role: Role, peer: PublicKey, address: Address) {
    self.id = id
    self.role = role
    self.peer = peer
    self.address = address
  }

  /// Continues the session in a handshake that the peer began.
  mutating func become(_ role: Role, at address: Address) {
    self.role = role
    self.address = address
  }

  /// Records that the handshake restarts.
  mutating func restarted(_ reason: RestartReason) { lastRestart = reason }

  // [DEC-86]
  /// Returns true if the peer or the path to it has changed, given the path of its newest packet.
  /// For the side that opened the session only the peer's address counts: its own is chosen by the
  /// system, which follows its routes.
  func isElsewhere(_ source: Address) -> Bool {
    source != address || source.localIndex != address.localIndex && role == .responder
  }

  // [DEC-86]
  /// Sends to another address of the peer, or from another of this host's, from now on.
  mutating func move(to address: Address) {
    self.address = role == .responder ? address : address.reached(at: self.address.localIndex)
  }

  // [DEC-87]
  /// Returns the largest datagram of data, in bytes.
  @inline(__always)
  borrowing func datagramLimit(_ settings: borrowing Settings) -> Int {
    narrowing == 0 ? settings.mtu : Int(narrowing)
  }

  /// The largest datagram of data, in bytes; nil for ``Settings/mtu``.
  var narrowedLimit: Int? { narrowing == 0 ? nil : Int(narrowing) }

  // [DEC-87]
  /// Sets the largest datagram of data, within the limits of the settings. Returns the resulting
  /// limit.
  mutating func setDatagramLimit(_ limit: Int?, settings: Settings) -> Int {
    let bounded = min(settings.mtu, max(Settings.smallestDatagramLimit, limit ?? settings.mtu))
    narrowing = bounded == settings.mtu ? 0 : UInt16(clamping: bounded)
    return bounded
  }

  /// Returns a control packet, sealed with the kek of `key`.
  mutating func send(
    _ type: PacketType, body: [UInt8] = [], under key: SessionKey?, configuration: borrowing EndpointConfiguration
  ) -> [Action] {
    keys.control(type, body: body, under: key, configuration: configuration).map { [$0] } ?? []
  }

  /// Returns C1 under `key`, which the peer must answer.
  mutating func probe(
    under key: SessionKey?, configuration: borrowing EndpointConfiguration, at now: Instant
  ) -> [Action] {
    liveness.probed(at: now)
    return send(.keyConfirm, under: key, configuration: configuration)
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

  /// Reads from the cache lines that a data packet needs; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  borrowing func prefetch() -> UInt64 {
    keys.counter &+ UInt64(address.port) &+ statistics.messagesReceived &+ statistics.rekeys
  }
}
