// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ZSSPEtcd

/// A cluster of etcd on loopback, in a folder of its own. It ends with the object, or when the
/// process of the tests does.
final class EtcdNodes: @unchecked Sendable {
  // Changed by the one test that has it.
  private(set) var nodes: [EtcdNode] = []
  let folder: Folder
  private let scheme: String

  /// The user of the first node, where each has one of its own. Nobody else is.
  static let firstUser = 70_101

  /// Starts so many nodes; `arguments` are those of all. With `users` each is a user of its own,
  /// which needs the rights of root.
  init(_ count: Int = 1, scheme: String = "http", arguments: [String] = [], users: Bool = false) throws {
    let program = try #require(Etcd.path, "etcd is not installed, and ZSSP_ETCD_REQUIRED is set")
    folder = try Folder()
    self.scheme = scheme
    let ports = try freePorts(2 * count)
    let cluster = (0..<count).map { "n\($0)=http://127.0.0.1:\(ports[2 * $0 + 1])" }.joined(separator: ",")
    for index in 0..<count {
      let client = "\(scheme)://127.0.0.1:\(ports[2 * index])"
      let peer = "http://127.0.0.1:\(ports[2 * index + 1])"
      let own = folder.path("n\(index)")
      let user = users ? Self.firstUser + index : nil
      try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: false)
      if let user { try #require(chown(own, uid_t(user), gid_t(user)) == 0, "cannot give \(own) away") }
      nodes.append(
        EtcdNode(
          program,
          [
            "--name", "n\(index)", "--data-dir", "\(own)/data", "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", cluster, "--initial-cluster-state", "new", "--logger", "zap", "--log-level", "error",
            "--log-outputs", "\(own)/log",
          ] + arguments, folder: folder.url.path, ports: (ports[2 * index], ports[2 * index + 1]), user: user))
    }
    for node in nodes { try node.start() }
  }

  deinit { for node in nodes { node.kill() } }

  /// Options for a store on these nodes, which tests may wait for: they share the machine.
  func options(prefix: String = "/test/\(UUID().uuidString)") -> EtcdStoreOptions {
    var options = EtcdStoreOptions(
      nodes: nodes.map { EtcdStoreOptions.Node(host: "127.0.0.1", port: $0.port) })
    options.prefix = prefix
    options.tls = nil
    options.timeout = .seconds(60)
    return options
  }

  func open(
    _ options: EtcdStoreOptions? = nil, creates: Bool = true
  ) async throws(EtcdStoreError) -> EtcdRatchetStore {
    try await EtcdRatchetStore.open(options ?? self.options(), provider: .fastest, creates: creates)
  }
}

/// One process of etcd.
final class EtcdNode {
  /// For clients.
  let port: Int
  /// For other nodes.
  let peerPort: Int
  let user: Int?
  private let program: String
  private let arguments: [String]
  private let folder: String
  private var process: Process?
  private var leash = Pipe()
  private var pid: pid_t = 0

  init(_ program: String, _ arguments: [String], folder: String, ports: (client: Int, peer: Int), user: Int?) {
    (self.program, self.arguments, self.folder, self.user) = (program, arguments, folder, user)
    (port, peerPort) = ports
  }

  /// Starts it, with what it has left.
  func start() throws {
    let process = Process()
    let output = Pipe()
    leash = Pipe()
    let prefix = user.map { ["setpriv", "--reuid", "\($0)", "--regid", "\($0)", "--clear-groups"] } ?? []
    process.executableURL = URL(filePath: "/bin/bash")
    // Ends with whoever holds the other end of the pipe, however that ends, and leaves the folder
    // only to one who says so.
    let script =
      #"folder=$1; shift; "$@" > /dev/null 2>&1 & echo $!; read -r word; kill -9 $!; wait; [ "$word" ] || rm -rf "$folder""#
    process.arguments = ["-c", script, "etcd", folder] + prefix + [program] + arguments
    process.standardInput = leash
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    var line = Data()
    while line.last != UInt8(ascii: "\n") {
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { break }
      line += more
    }
    pid = try #require(pid_t(String(decoding: line.dropLast(), as: UTF8.self)), "etcd was not started")
    self.process = process
  }

  /// Ends it at once, as a loss of power does.
  func kill() {
    guard let process else { return }
    self.process = nil
    Foundation.kill(pid, SIGKILL)
    do {
      try leash.fileHandleForWriting.write(contentsOf: Data("keep\n".utf8))
      try leash.fileHandleForWriting.close()
    } catch { Issue.record("cannot let go of etcd: \(error)") }
    process.waitUntilExit()
  }

  /// Stops it, so that it does nothing and keeps its connections; or lets it go on.
  func setStopped(_ isStopped: Bool) { Foundation.kill(pid, isStopped ? SIGSTOP : SIGCONT) }
}
