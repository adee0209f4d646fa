// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// What a tunnel is made with: the content of a configuration file.
public struct TunnelConfiguration: Sendable {
  /// The name of the network device, 1…15 bytes.
  public var interface = "zssp0"
  /// The device's addresses, each with the length of the network that it is in.
  public var addresses: [IPPrefix] = []
  /// The largest packet in the tunnel in bytes; nil for what fits into one datagram on the way to the peers.
  public var mtu: Int?
  /// The largest datagram of ZSSP in bytes; nil for what the tunnel's MTU needs.
  public var datagram: Int?
  /// Whether what the path to each peer takes is found out, and datagrams are never cut on their way. If not, they may be cut.
  public var discoversPathMTU = true
  /// What datagrams have in the differentiated services field.
  public var dscp = DSCPPolicy.fixed(0)
  /// The place to listen on. Both families and any port by default.
  public var listen = ListenAddress.any(port: 0)
  /// What a lost ratchet means.
  public var flags = SecurityFlags.opportunistic
  /// The variant of the protocol; both ends must have the same.
  public var profile = Profile.kyber1024
  /// What Hellos must bring.
  public var challenge = HelloPolicy.automatic()
  /// How many event loops sessions are spread over: 1, 2, 4, … 256.
  public var shards = 1
  /// The age at which keys are replaced; nil for the protocol's default.
  public var rekeyAfter: Duration?
  /// The routing table that the routes to the peers' allowed IPs go to.
  public var table = RoutingTable.auto
  /// The mark of the tunnel's datagrams (SO_MARK), 1 to 2^32 - 1; nil for one that ``table`` needs, or none.
  public var mark: UInt32?
  /// The network device that the tunnel's datagrams leave and come by; nil for any.
  public var bindDevice: String?
  /// The servers that names are looked up with while the tunnel is up; none for the system's own.
  public var dns: [IPAddress] = []
  /// The domains that are searched, and looked up with ``dns``.
  public var search: [String] = []
  /// Whether super-packets are exchanged with the system.
  public var offload = true
  /// Packets that the system keeps for the device while we are busy. More are dropped.
  public var queueLength = 2000
  /// For how long after traffic the event loops look for more instead of sleeping, which shortens delays and costs processor time; nil
  /// for never. The tunnel does not apply it: the program does, with `SystemEventLoopGroup.busyPolling`, because it holds for the
  /// whole process.
  public var busyPoll: Duration?
  /// The user to become when everything is set up; nil to stay.
  public var user: String?
  /// The group whose members may ask for the status; nil for the tunnel's user alone.
  public var statusGroup: String?
  /// Commands at the turns of the tunnel's life.
  public var hooks = Hooks()
  /// Those on the other ends.
  public var peers: [PeerConfiguration] = []

  /// Commands for the shell, each run to its end in its turn. `%i` stands for the device's name.
  public struct Hooks: Sendable, Equatable {
    /// Before there is a device. If one fails there will be none.
    public var preUp: [String] = []
    /// When everything is set up.
    public var postUp: [String] = []
    /// Before anything is undone.
    public var preDown: [String] = []
    /// When the device is gone.
    public var postDown: [String] = []

    /// No commands.
    public init() {}
  }

  /// Whether IPv6 goes through the tunnel.
  var carriesV6: Bool { (addresses + peers.flatMap(\.allowedIPs)).contains { $0.address.family == .v6 } }

  /// The defaults: no peers, and no addresses.
  public init() {}
}

/// The other end of a tunnel.
public struct PeerConfiguration: Sendable, Equatable {
  /// How people call the peer; nil for none.
  public var name: String?
  /// The peer's static key.
  public var publicKey: PublicKey
  /// The places where the peer may listen, of which one is tried at each attempt; none if only the peer opens sessions.
  public var endpoints: [PeerEndpoint] = []
  /// The addresses behind the peer: packets to them go there, and packets from there come from them.
  public var allowedIPs: [IPPrefix] = []
  /// What to say of ourselves when opening a session, 0…4096 bytes.
  public var identity = ""
  /// After how long a silence to send something, so that devices on the way keep the way open; nil for never.
  public var keepalive: Duration?
  /// Flags of sessions with this peer; nil for those of the file.
  public var flags: SecurityFlags?
  /// The largest packet for this peer in bytes; nil for the device's MTU.
  public var mtu: Int?
  /// The file with the password of the first contact.
  public var oneTimePasswordFile: String?

  /// A peer that is known by its key.
  public init(publicKey: PublicKey) { self.publicKey = publicKey }
}

/// What is wrong with a configuration file.
public struct TunnelConfigurationError: Error, CustomStringConvertible {
  /// One mistake.
  public struct Problem: Sendable, Equatable, CustomStringConvertible {
    /// The line in the file; nil if it cannot be told.
    public let line: Int?
    /// What is wrong, and what would be right.
    public let message: String

    /// What people read.
    public var description: String { line.map { "line \($0): \(message)" } ?? message }
  }

  /// The file.
  public let file: String
  /// What is wrong, in the order of the file.
  public let problems: [Problem]

  /// One line for each problem, with the file in front.
  public var description: String {
    problems.map { "\(file)\($0.line.map { ":\($0)" } ?? ""): \($0.message)" }.joined(separator: "\n")
  }
}
