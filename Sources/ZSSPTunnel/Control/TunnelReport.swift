// SPDX-License-Identifier: Apache-2.0

/// The status of a tunnel, as `zssp tunnel show --json` prints it.
public struct TunnelReport: Codable, Sendable, Equatable {
  /// Whether a peer is there, as far as this side can know.
  public enum PeerState: String, Codable, Sendable {
    /// There is a session, and the peer answers.
    case up
    /// A session is being opened.
    case opening
    /// There is a session, and the peer does not answer any more.
    case silent
    /// The peer could not be reached; it is tried again.
    case unreachable
    /// There is no session, and none is wanted now.
    case idle
  }

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
    /// Whether the peer is there.
    public var state: PeerState
    /// Why the peer is unreachable.
    public var reason: String?
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
    /// The largest packet, with the headers of IP and UDP, that is known to pass on the path to the peer, in bytes.
    public var pathMTU: Int?
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
  /// The status.
  case show
  /// Adds a peer, or replaces what was set of it.
  case setPeer(PeerChange)
  /// Removes a peer, by its public key or its name.
  case removePeer(publicKey: String)
  /// Erases the ratchet of a peer, by its public key or its name.
  case forgetPeer(String)
  /// Replaces the ratchet of a peer, by its public key or its name, by that of a one-time password.
  case enrollPeer(String, password: String)
  /// Replaces the keys of sessions, of one peer or of all.
  case rekey(publicKey: String?)
  /// Applies the changes of the configuration file.
  case reload
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
    /// Whether there must not be such a peer yet.
    public var isNew: Bool?

    /// A change of nothing.
    public init(publicKey: String) { self.publicKey = publicKey }
  }
}

/// What comes of it.
public enum ControlResponse: Codable, Sendable, Equatable {
  /// The status.
  case report(TunnelReport)
  /// It is done.
  case done(String)
  /// It is not, and why.
  case refused(String)
}
