// SPDX-License-Identifier: Apache-2.0

/// How a tunnel stands, as `zssp tunnel show --json` prints it.
public struct TunnelReport: Codable, Sendable, Equatable {
  /// One peer.
  public struct Peer: Codable, Sendable, Equatable {
    /// What people call the peer.
    public var name: String?
    /// The public key, in base64.
    public var publicKey: String
    /// Where the peer is, or was last.
    public var endpoint: String?
    /// The addresses behind it.
    public var allowedIPs: [String]
    /// `up`, `opening` or `down`.
    public var state: String
    /// Seconds since the last handshake or re-key.
    public var lastHandshakeSeconds: Double?
    /// Seconds since something came.
    public var lastReceivedSeconds: Double?
    /// How many handshakes the ratchet has behind it.
    public var ratchetLength: UInt64
    /// Packets and bytes of IP to the peer.
    public var packetsSent: UInt64
    /// Bytes of IP to the peer.
    public var bytesSent: UInt64
    /// Packets of IP from the peer.
    public var packetsReceived: UInt64
    /// Bytes of IP from the peer.
    public var bytesReceived: UInt64
    /// How long a question and its answer took last, in milliseconds.
    public var latencyMilliseconds: Double?
    /// Packets that wait for a session.
    public var waiting: Int
  }

  /// The device.
  public var interface: String
  /// Our public key, in base64.
  public var publicKey: String
  /// Where we listen.
  public var listen: String
  /// The device's MTU in bytes.
  public var mtu: Int
  /// The peers, in the order of the file.
  public var peers: [Peer]
  /// Packets that did not go on, by reason; those that are 0 are left out.
  public var drops: [String: UInt64]
  /// Datagrams and packets that the protocol dropped, by the names of ``DropReason``; those that are 0 are left out.
  public var protocolDrops: [String: UInt64]
  /// Datagrams and handshakes that the transport dropped, by the names in ``TransportStatistics``; those that are 0 are left out.
  public var transportDrops: [String: UInt64]
  /// What the system dropped because it was not read in time: `device`, packets for the tunnel; `socket`, datagrams; `hellos`, those that
  /// open sessions. Those that are 0 are left out.
  public var systemDrops: [String: UInt64]
  /// Datagrams that could not be sent.
  public var sendErrors: UInt64
}

/// What is asked of a running tunnel: one line of JSON each way.
public enum ControlRequest: Codable, Sendable, Equatable {
  /// How does it stand?
  case show
  /// Adds a peer, or replaces what was set of it.
  case setPeer(PeerChange)
  /// Removes a peer, by its public key in base64.
  case removePeer(publicKey: String)
  /// Replaces the keys of sessions, of one peer or of all.
  case rekey(publicKey: String?)
  /// Ends the tunnel.
  case down

  /// What is set of a peer. What is nil stays as it is.
  public struct PeerChange: Codable, Sendable, Equatable {
    /// The public key in base64 or hexadecimal digits.
    public var publicKey: String
    /// What people call the peer.
    public var name: String?
    /// Where the peer listens.
    public var endpoint: String?
    /// The addresses behind it.
    public var allowedIPs: [String]?
    /// After how many seconds of silence to send something; 0 for never.
    public var keepalive: Int?

    /// A change of nothing.
    public init(publicKey: String) { self.publicKey = publicKey }
  }
}

/// What comes of it.
public enum ControlResponse: Codable, Sendable, Equatable {
  /// How it stands.
  case report(TunnelReport)
  /// It is done.
  case done(String)
  /// It is not, and why.
  case refused(String)
}
