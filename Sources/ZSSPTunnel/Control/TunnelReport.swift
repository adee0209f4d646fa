// SPDX-License-Identifier: Apache-2.0
public import ZSSPOpenMetrics

/// The status of a tunnel, as printed by `zssp tunnel show --json`.
public struct TunnelReport: Codable, Sendable, Equatable {
  /// The state of a peer, as far as this side knows.
  public enum PeerState: String, Codable, Sendable, CaseIterable {
    /// A session exists, and the peer answers.
    case up
    /// A session is being opened.
    case opening
    /// A session exists, and the peer does not answer.
    case silent
    /// The peer could not be reached. More attempts follow.
    case unreachable
    /// No session exists, and none is wanted now.
    case idle
  }

  /// The status of a peer.
  public struct Peer: Codable, Sendable, Equatable {
    /// The peer's name for people.
    public var name: String?
    /// The public key, in base64.
    public var publicKey: String
    /// The peer's current or last address.
    public var endpoint: String?
    /// The prefixes behind the peer.
    public var allowedIPs: [String]
    /// The state of the peer.
    public var state: PeerState
    /// The reason why the peer is unreachable.
    public var reason: String?
    /// Seconds since the last handshake or re-key.
    public var lastHandshakeSeconds: Double?
    /// Seconds since the last authentic packet from the peer.
    public var lastReceivedSeconds: Double?
    /// The number of handshakes in the ratchet chain.
    public var ratchetLength: UInt64
    /// IP packets to the peer.
    public var packetsSent: UInt64
    /// Bytes of IP packets to the peer.
    public var bytesSent: UInt64
    /// IP packets from the peer.
    public var packetsReceived: UInt64
    /// Bytes of IP packets from the peer.
    public var bytesReceived: UInt64
    /// The round-trip time of the last answered probe, in milliseconds.
    public var latencyMilliseconds: Double?
    /// The size in bytes of the largest packet, with IP and UDP headers, that is known to pass the
    /// path to the peer.
    public var pathMTU: Int?
    /// Packets that wait for a session.
    public var waiting: Int
  }

  /// The name of the device.
  public var interface: String
  /// This side's public key, in base64.
  public var publicKey: String
  /// The bound address.
  public var listen: String
  /// The device's MTU in bytes.
  public var mtu: Int
  /// The peers, in the order of the file.
  public var peers: [Peer]
  /// Packets that the tunnel dropped, by reason. Zero counts are left out.
  public var drops: [String: UInt64]
  /// Datagrams and packets that the protocol dropped, by the names of ``/ZSSP/DropReason``. Zero
  /// counts are left out.
  public var protocolDrops: [String: UInt64]
  /// Datagrams and handshakes that the transport dropped, by the names in
  /// ``/ZSSPNIO/TransportStatistics``. Zero counts are left out.
  public var transportDrops: [String: UInt64]
  /// Packets and datagrams that the system dropped because they were not read in time: `device`,
  /// packets for the tunnel; `socket`, datagrams; `hellos`, datagrams that open sessions. Zero
  /// counts are left out.
  public var systemDrops: [String: UInt64]
  /// Datagrams that could not be sent.
  public var sendErrors: UInt64
}

/// A request to a running tunnel: a line of JSON, which is answered with a line of JSON.
public enum ControlRequest: Codable, Sendable, Equatable {
  /// Returns the status.
  case show
  /// Returns the metrics as text.
  case metrics(MetricsFormat)
  /// Adds a peer, or changes one.
  case setPeer(PeerChange)
  /// Removes a peer, identified by its public key or name.
  case removePeer(publicKey: String)
  /// Erases the ratchet of a peer, identified by its public key or name.
  case forgetPeer(String)
  /// Replaces the ratchet of a peer, identified by its public key or name, by one that is derived
  /// from a one-time password.
  case enrollPeer(String, password: String)
  /// Replaces the keys of sessions, of one peer or of all.
  case rekey(publicKey: String?)
  /// Applies the changes in the configuration file.
  case reload
  /// Ends the tunnel.
  case down

  /// True if the request changes nothing, so that members of the status group may make it.
  var isForStatus: Bool {
    switch self {
    case .show, .metrics: true
    default: false
    }
  }

  /// The new settings of a peer. Nil leaves a setting unchanged.
  public struct PeerChange: Codable, Sendable, Equatable {
    /// The public key in base64 or hexadecimal digits.
    public var publicKey: String
    /// The peer's name for people.
    public var name: String?
    /// The address where the peer listens.
    public var endpoint: String?
    /// The prefixes behind the peer.
    public var allowedIPs: [String]?
    /// The silence in seconds after which something is sent; 0 for never.
    public var keepalive: Int?
    /// True if the peer must not exist yet.
    public var isNew: Bool?

    /// Makes a change without new settings.
    public init(publicKey: String) { self.publicKey = publicKey }
  }
}

/// The response to a request.
public enum ControlResponse: Codable, Sendable, Equatable {
  /// The status.
  case report(TunnelReport)
  /// The metrics as text.
  case metrics(String)
  /// The request was executed. The text says what was done.
  case done(String)
  /// The request was refused. The text says why.
  case refused(String)
  /// The request was not executed, or not as a whole, because the system does not allow it now. The
  /// text says what was done, and what failed.
  case failed(String)
}
