// SPDX-License-Identifier: Apache-2.0

/// The state of one peer at one moment, as far as it is known.
public struct PeerSample: Sendable, Hashable {
  /// The peer's name, or the start of its key. Samples with the same label are told apart by the
  /// key.
  public var label: String
  /// The peer's public key, in base64.
  public var publicKey: String
  /// The current state, one of the states that ``PeerFamilies`` gets.
  public var state: String
  /// Packets to the peer.
  public var packetsSent: UInt64 = 0
  /// Bytes of those packets.
  public var bytesSent: UInt64 = 0
  /// Packets from the peer.
  public var packetsReceived: UInt64 = 0
  /// Bytes of those packets.
  public var bytesReceived: UInt64 = 0
  /// Seconds since the last handshake or re-key; nil for never.
  public var handshakeAge: Double?
  /// Seconds since the last authentic packet from the peer; nil for never.
  public var receivedAge: Double?
  /// The last round trip in seconds; nil if it was not measured.
  public var roundTrip: Double?
  /// The size in bytes of the largest packet that is known to pass the path; nil if unknown.
  public var pathMTU: Int?
  /// The number of handshakes in the ratchet chain.
  public var ratchetLength: UInt64 = 0
  /// Sessions with the peer so far.
  public var sessions: UInt64 = 0
  /// Re-keys of those sessions.
  public var rekeys: UInt64 = 0
  /// Moves of the peer to another address during a session.
  public var moves: UInt64 = 0
  /// Attempts to open a session that failed.
  public var failedAttempts: UInt64 = 0
  /// Packets that wait for a session.
  public var waiting = 0
  /// Dropped packets of the peer by reason.
  public var drops: [String: UInt64] = [:]

  /// Makes a sample without traffic.
  ///
  /// - Parameters:
  ///   - label: The peer's name, or the start of its key.
  ///   - publicKey: The peer's public key, in base64.
  ///   - state: The current state.
  public init(label: String, publicKey: String, state: String) {
    self.label = label
    self.publicKey = publicKey
    self.state = state
  }
}
