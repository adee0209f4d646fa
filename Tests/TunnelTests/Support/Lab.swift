// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Hosts in network namespaces of their own, with links between them. All of it is gone when the
/// test lets go of it.
final class Lab: @unchecked Sendable {
  /// The reason why no lab is possible here; nil if one is.
  static let obstacle: String? = {
    #if os(Linux)
      guard getuid() == 0 else { return "root is needed to make network namespaces" }
      for program in ["ip", "iperf3", "ping", "iptables", "nc"] where !isInstalled(program) {
        return "\(program) is not installed; see .ci/install-libraries"
      }
      let name = "zt-try-\(getpid())"
      guard let made = try? Program(["ip", "netns", "add", name]).finish(), made.exitCode == 0 else {
        return "network namespaces are not permitted here"
      }
      _ = try? Program(["ip", "netns", "del", name]).finish()
      return FileManager.default.fileExists(atPath: "/dev/net/tun") ? nil : "there is no /dev/net/tun"
    #else
      return "tunnels are for Linux"
    #endif
  }()

  /// Returns true if a program is installed.
  static func isInstalled(_ program: String) -> Bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].contains {
      FileManager.default.isExecutableFile(atPath: "\($0)/\(program)")
    }
  }

  let folder: URL
  /// The port of the tunnels whose files are written from now on.
  var port = 4500
  private let prefix: String
  private var hosts: [String] = []
  private var links = 0
  private var programs: [Program] = []

  init() throws {
    // Tunnels share a folder for their control sockets, whatever their namespace.
    prefix = "t\(UInt32.random(in: 0..<0x100_0000).description(radix: 36))"
    folder = FileManager.default.temporaryDirectory.appending(path: "zssp-lab-\(prefix)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit {
    for program in programs where program.isRunning { program.send(SIGKILL) }
    // Who gave up privileges leaves the folder to the next start.
    for host in hosts {
      let folder = URL(filePath: "/run/zssp/\(prefix)\(host.dropFirst(prefix.count + 1))")
      try? FileManager.default.removeItem(at: folder)
    }
    for host in hosts { _ = try? Program(["ip", "netns", "del", host]).finish() }
    for host in hosts where FileManager.default.fileExists(atPath: "/etc/netns/\(host)") {
      do { try FileManager.default.removeItem(atPath: "/etc/netns/\(host)") } catch { Issue.record("\(error)") }
    }
    do { try FileManager.default.removeItem(at: folder) } catch { Issue.record("\(error)") }
  }

  /// Adds hosts, and switches on what they need.
  func add(_ names: String...) throws {
    for name in names {
      try run("ip netns add \(namespace(name))")
      hosts.append(namespace(name))
      try run("ip link set lo up", on: name)
    }
  }

  /// Says what a name stands for on a host, from the start of its next program on.
  func name(_ name: String, _ addresses: String..., on host: String) throws {
    let folder = "/etc/netns/\(namespace(host))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // Programs that run have this very file; it is not replaced by another.
    let file = "\(folder)/hosts"
    if !FileManager.default.fileExists(atPath: file) { try Data().write(to: URL(filePath: file)) }
    let handle = try #require(FileHandle(forWritingAtPath: file))
    try handle.truncate(atOffset: 0)
    let lines = addresses.map { "\($0) \(name)\n" }.joined()
    try handle.write(contentsOf: Data("127.0.0.1 localhost\n\(lines)".utf8))
    try handle.close()
  }

  /// A network between two hosts: x.x.x.1 and x.x.x.2 of 192.168.N.0/24, where N counts from 1.
  func link(_ left: String, _ right: String, mtu: Int = 1500) throws {
    links += 1
    let device = "v\(links)"
    try run(
      "ip link add \(device) netns \(namespace(left)) mtu \(mtu) type veth peer name \(device) netns \(namespace(right)) mtu \(mtu)"
    )
    for (host, last) in [(left, 1), (right, 2)] {
      try run("ip address add 192.168.\(links).\(last)/24 dev \(device)", on: host)
      try run("ip link set \(device) up", on: host)
    }
  }

  func namespace(_ host: String) -> String { "\(prefix)-\(host)" }

  /// The name of a host's tunnel device.
  func device(_ host: String) -> String { "\(prefix)\(host)" }

  func path(_ name: String) -> String { folder.appending(path: name).path }

  // MARK: Programs

  /// Runs a command to its end, which must be good.
  @discardableResult
  func run(_ command: String, on host: String? = nil) throws -> String {
    let result = try Program(words(command, on: host)).finish()
    try #require(result.exitCode == 0, "\(command): \(result.output)")
    return result.output
  }

  /// Runs a command to its end, whatever that is.
  func attempt(_ command: String, on host: String) throws -> Program.Result {
    try Program(words(command, on: host)).finish()
  }

  /// Starts a command.
  func start(_ command: String, on host: String) throws -> Program {
    let program = try Program(words(command, on: host))
    programs.append(program)
    return program
  }

  private func words(_ command: String, on host: String?) -> [String] {
    let words = command.split(separator: " ").map(String.init)
    return host.map { ["ip", "netns", "exec", namespace($0)] + words } ?? words
  }

  /// The tool that was built beside the tests.
  static func zssp() throws -> String {
    let own = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
    let candidates = [own, Bundle.main.bundleURL, Bundle.main.bundleURL.deletingLastPathComponent()]
    let found = candidates.map { $0.appending(path: "zssp").path }.first(where: FileManager.default.isExecutableFile)
    return try #require(found, "zssp was not built beside the tests")
  }

  // MARK: Tunnels

  /// The public key of a host, whose private key is made when it is first asked for.
  func key(_ host: String) throws -> String {
    let file = path("\(host).pem")
    let zssp = try Self.zssp()
    if !FileManager.default.fileExists(atPath: file) { try run("\(zssp) keygen \(file)") }
    return try run("\(zssp) pubkey \(file)").trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Starts a tunnel, and returns when it is up. Its addresses are 10.99.0.N and fd99::N.
  func tunnel(_ host: String, number: Int, extra: String = "", peers: [Peer]) async throws -> Program {
    try write(host, number: number, extra: extra, peers: peers)
    return try await again(host)
  }

  /// Writes a tunnel's configuration file.
  func write(_ host: String, number: Int, extra: String = "", peers: [Peer]) throws {
    _ = try key(host)
    var text = """
      interface = "\(device(host))"
      addresses = ["10.99.0.\(number)/24", "fd99::\(number)/64"]
      listen = "0.0.0.0:\(port)"
      private-key-file = "\(path("\(host).pem"))"
      \(extra)

      """
    for peer in peers {
      text += """
        [[peer]]
        name = "\(peer.host)"
        public-key = "\(try key(peer.host))"
        allowed-ips = \(peer.allowed)
        \(peer.endpoint.map { "endpoint = \"\($0):\(port)\"" } ?? "")
        \(peer.extra)

        """
    }
    try text.write(toFile: path("\(host).toml"), atomically: true, encoding: .utf8)
  }

  /// Starts a host's tunnel again, from the file that is there, with additional variables.
  func again(_ host: String, environment: String = "") async throws -> Program {
    let program = try start(
      "env \(environment) \(Self.zssp()) tunnel up --foreground \(path("\(host).toml"))", on: host)
    try await program.waits(for: "is up")
    return program
  }

  /// Returns the output of `show --json`.
  func show(_ host: String) throws -> [String: Any] {
    let text = try run("\(Self.zssp()) tunnel show --json \(device(host))")
    return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  /// The length of the ratchet with a host's only peer.
  func ratchetLength(_ host: String) throws -> Int {
    let peer = (try show(host)["peers"] as? [[String: Any]])?.first
    return (peer?["ratchetLength"] as? NSNumber)?.intValue ?? 0
  }

  /// Waits until a condition holds. The limit, five minutes of pauses, is for what never comes: it
  /// is no measure of speed.
  func waits(_ condition: () throws -> Bool) async throws {
    for _ in 0..<6000 {
      if try condition() { return }
      try await Task.sleep(for: .milliseconds(50))
    }
    Issue.record("what was waited for did not come")
  }

  /// Returns the number of packets that a tunnel has dropped for a reason.
  func drops(_ host: String, reason: String) throws -> Int { try count(host, kind: "drops", reason: reason) }

  /// Returns the number of datagrams that the protocol has dropped for a reason.
  func protocolDrops(_ host: String, reason: String) throws -> Int {
    try count(host, kind: "protocolDrops", reason: reason)
  }

  private func count(_ host: String, kind: String, reason: String) throws -> Int {
    let counts = try #require(try show(host)[kind] as? [String: Any])
    return (counts[reason] as? NSNumber)?.intValue ?? 0
  }

  /// A peer as a host knows it.
  struct Peer {
    let host: String
    let allowed: String
    let endpoint: String?
    let extra: String

    init(_ host: String, number: Int, at endpoint: String? = nil, extra: String = "") {
      self.init(host, allowed: "[\"10.99.0.\(number)/32\", \"fd99::\(number)/128\"]", at: endpoint, extra: extra)
    }

    init(_ host: String, allowed: String, at endpoint: String? = nil, extra: String = "") {
      self.host = host
      self.allowed = allowed
      self.endpoint = endpoint
      self.extra = extra
    }
  }
}

extension UInt32 {
  fileprivate func description(radix: Int) -> String { String(self, radix: radix) }
}
