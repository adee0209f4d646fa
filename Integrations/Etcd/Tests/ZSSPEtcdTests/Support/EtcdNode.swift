// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ZSSPEtcd

/// A cluster of etcd on loopback, in a folder of its own. It ends with the object, or when the process of the tests does.
final class EtcdNodes: @unchecked Sendable {
  // Changed by the one test that has it.
  private(set) var nodes: [EtcdNode] = []
  let folder: Folder
  private let scheme: String

  /// Starts so many nodes; `arguments` are those of all.
  init(_ count: Int = 1, scheme: String = "http", folder: Folder? = nil, arguments: [String] = []) throws {
    let program = try #require(Etcd.path, "etcd is not installed, and ZSSP_ETCD_REQUIRED is set")
    self.folder = try folder ?? Folder()
    self.scheme = scheme
    let ports = try freePorts(2 * count)
    let cluster = (0..<count).map { "n\($0)=http://127.0.0.1:\(ports[2 * $0 + 1])" }.joined(separator: ",")
    for index in 0..<count {
      let (client, peer) = ("\(scheme)://127.0.0.1:\(ports[2 * index])", "http://127.0.0.1:\(ports[2 * index + 1])")
      nodes.append(
        EtcdNode(
          program,
          [
            "--name", "n\(index)", "--data-dir", self.folder.path("n\(index)"), "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", cluster, "--initial-cluster-state", "new", "--logger", "zap", "--log-level", "error",
            "--log-outputs", self.folder.path("n\(index).log"),
          ] + arguments, folder: self.folder.url.path, port: ports[2 * index]))
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
  let port: Int
  private let program: String
  private let arguments: [String]
  private let folder: String
  private var process: Process?
  private var leash = Pipe()
  private var pid: pid_t = 0

  init(_ program: String, _ arguments: [String], folder: String, port: Int) {
    (self.program, self.arguments, self.folder, self.port) = (program, arguments, folder, port)
  }

  /// Starts it, with what it has left.
  func start() throws {
    let (process, output) = (Process(), Pipe())
    leash = Pipe()
    process.executableURL = URL(filePath: "/bin/bash")
    // Ends with whoever holds the other end of the pipe, however that ends, and leaves the folder only to one who says so.
    let script =
      #"folder=$1; shift; "$@" > /dev/null 2>&1 & echo $!; read -r word; kill -9 $!; wait; [ "$word" ] || rm -rf "$folder""#
    process.arguments = ["-c", script, "etcd", folder, program] + arguments
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
