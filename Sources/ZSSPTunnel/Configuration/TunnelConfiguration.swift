// SPDX-License-Identifier: Apache-2.0
public import ZSSP
public import ZSSPOpenMetrics

/// The configuration of a tunnel: the content of a configuration file.
public struct TunnelConfiguration: Sendable {
  /// The name of the network device, 1…15 bytes.
  public var interface = "zssp0"
  /// The device's addresses, each with its prefix length.
  public var addresses: [IPPrefix] = []
  /// The size in bytes of the largest packet in the tunnel; nil for the size that fits into one
  /// datagram on the paths to the peers.
  public var mtu: Int?
  /// The size in bytes of the largest ZSSP datagram (UDP payload); nil for the size that the
  /// tunnel's MTU needs.
  public var datagram: Int?
  /// True to search the MTU of the path to each peer, and never to fragment datagrams; the default.
  /// False to let them be fragmented.
  public var discoversPathMTU = true
  /// The differentiated services code point of datagrams. The default is 0.
  public var dscp = DSCPPolicy.fixed(0)
  /// The listen address. The default is any port of both families.
  public var listen = ListenAddress.any(port: 0)
  /// The flags of sessions, which decide what a lost ratchet means. The default is opportunistic.
  public var flags = SecurityFlags.opportunistic
  /// The variant of the protocol, which both ends must share. The default is `kyber1024`.
  public var profile = Profile.kyber1024
  /// The policy for challenging Hellos. The default is automatic.
  public var challenge = HelloPolicy.automatic()
  /// The number of event loops that sessions are spread over: 1, 2, 4, … 256. The default is 1.
  public var shards = 1
  /// The age of keys at which they are replaced; nil for the protocol's default.
  public var rekeyAfter: Duration?
  /// The routing table for routes to the peers' allowed IPs. The default is `auto`.
  public var table = RoutingTable.auto
  /// The mark of the tunnel's datagrams (SO_MARK), 1 to 2^32 - 1; nil for the mark that ``table``
  /// needs, or none.
  public var mark: UInt32?
  /// The network device that the tunnel's datagrams use; nil for any.
  public var bindDevice: String?
  /// The DNS servers while the tunnel is up; empty for the system's own.
  public var dns: [IPAddress] = []
  /// The domains that are searched, and resolved with ``dns``.
  public var search: [String] = []
  /// True to exchange super-packets with the system; the default.
  public var offload = true
  /// The number of packets that the system queues for the device, 2000 by default. Further ones are
  /// dropped.
  public var queueLength = 2000
  /// The time for which the event loops poll after traffic instead of sleeping, which shortens
  /// delays and costs processor time; nil for none. The tunnel does not apply it. The program does,
  /// with `EpollEventLoopGroup.busyPolling`, because it applies to the whole process.
  public var busyPoll: Duration?
  /// The user that the process becomes after the set-up; nil for no change.
  public var user: String?
  /// The group whose members may request the status; nil for the tunnel's user only.
  public var statusGroup: String?
  /// The address where metrics are served over HTTP; nil for none.
  public var metrics: MetricsAddress?
  /// Shell commands for the phases of the tunnel's life.
  public var hooks = Hooks()
  /// The peers.
  public var peers: [PeerConfiguration] = []

  /// Shell commands, each run to its end, in order. `%i` stands for the device's name.
  public struct Hooks: Sendable, Equatable {
    /// Run before the device exists. A failure stops the start.
    public var preUp: [String] = []
    /// Run after the set-up.
    public var postUp: [String] = []
    /// Run before anything is removed.
    public var preDown: [String] = []
    /// Run after the device is removed.
    public var postDown: [String] = []

    /// No commands.
    public init() {}
  }

  /// True if IPv6 goes through the tunnel.
  var carriesV6: Bool { (addresses + peers.flatMap(\.allowedIPs)).contains { $0.address.family == .v6 } }

  /// Refuses a peer that has this side's own key.
  ///
  /// - Throws: ``TunnelError/refused(_:)``.
  func checkPeers(besides own: PublicKey) throws(TunnelError) {
    guard let peer = peers.first(where: { $0.publicKey == own }) else { return }
    throw .refused("\(peer.label): has this side's own public key; use the peer's")
  }

  /// Makes the default configuration, without peers and addresses.
  public init() {}
}

/// The configuration of a peer.
public struct PeerConfiguration: Sendable, Equatable {
  /// The peer's name for people; nil for none.
  public var name: String?
  /// The peer's static key.
  public var publicKey: PublicKey
  /// The addresses where the peer may listen, one of which is tried at each attempt. Empty if only
  /// the peer opens sessions.
  public var endpoints: [PeerEndpoint] = []
  /// The addresses behind the peer. Packets to them go to the peer, and packets from the peer must
  /// come from them.
  public var allowedIPs: [IPPrefix] = []
  /// The identity that this side sends when it opens a session, 0…4096 bytes.
  public var identity = ""
  /// The silence after which something is sent, so that NATs and firewalls keep the path open; nil
  /// for never.
  public var keepalive: Duration?
  /// The flags of sessions with this peer; nil for those of the file.
  public var flags: SecurityFlags?
  /// The size in bytes of the largest packet for this peer; nil for the device's MTU.
  public var mtu: Int?
  /// The file with the one-time password for the first contact.
  public var oneTimePasswordFile: String?

  /// Returns what is wrong with a name; nil if nothing is. Names are printed, and select peers.
  static func mistake(inName name: String, of key: PublicKey?) -> String? {
    // A text that is no key is a good name.
    let named = try? PublicKey(text: name)
    if let named, named == key { return nil }
    let isPrintable = name.unicodeScalars.allSatisfy {
      ![.control, .format, .lineSeparator, .paragraphSeparator].contains($0.properties.generalCategory)
    }
    guard (1...64).contains(name.unicodeScalars.count), isPrintable else {
      return "must be 1 to 64 characters, without control characters"
    }
    return named == nil ? nil : "is another public key, by which requests would name two peers"
  }

  /// Makes a peer with defaults.
  public init(publicKey: PublicKey) { self.publicKey = publicKey }
}

/// The mistakes in a configuration file.
public struct TunnelConfigurationError: Error, CustomStringConvertible {
  /// One mistake.
  public struct Problem: Sendable, Equatable, CustomStringConvertible {
    /// The line in the file, from 1; nil if unknown.
    public let line: Int?
    /// The mistake and its correction.
    public let message: String
    /// True if the file is valid, and names something that the system does not have now.
    public let isOfSystem: Bool

    init(line: Int?, message: String, isOfSystem: Bool = false) {
      self.line = line
      self.message = message
      self.isOfSystem = isOfSystem
    }

    /// The line and the message.
    public var description: String { line.map { "line \($0): \(message)" } ?? message }
  }

  /// The path of the file.
  public let file: String
  /// The mistakes, in the order of the file.
  public let problems: [Problem]

  /// True if the file is valid, and names only things that the system does not have now.
  public var isOfSystem: Bool { problems.allSatisfy(\.isOfSystem) }

  /// One line per mistake, with the file in front.
  public var description: String {
    problems.map { "\(file)\($0.line.map { ":\($0)" } ?? ""): \($0.message)" }.joined(separator: "\n")
  }
}
