// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Foundation
  import Testing
  import ZSSPRandom
  import ZSSPTestSupport
  import ZSSPStoreTesting

  /// Two processes in persistent mode over databases, killed at random moments of handshakes and
  /// re-keys. `ZSSP_CRASHES` says how often, `ZSSP_CRASH_SEED` from which seed. Files are changed
  /// by nobody else, but when the operators restore a backup.
  @Suite("Processes that are killed", .tags(.slow), .ownThreads, .timeLimit(.minutes(60)))
  struct CrashTests {
    private static let crashes =
      Int(ProcessInfo.processInfo.environment["ZSSP_CRASHES"] ?? "") ?? (TestSelection.isAll ? 10 : 2)
    private static let seed = UInt64(ProcessInfo.processInfo.environment["ZSSP_CRASH_SEED"] ?? "") ?? 1

    private let peers: Peers

    init() throws { peers = try Peers() }

    private func store(_ name: String) -> String { "sqlite:" + peers.tool.path(name) }

    private func persistent(_ name: String) -> [String] {
      ["--mode", "persistent", "--otp-file", peers.tool.path("otp"), "--store", store(name), "--rekey-after", "0.05s"]
    }

    private func listen() throws -> Listener {
      try Listener(
        peers.tool, arguments: ["--key", peers.tool.path("bob.pem"), "--peer", peers.alice] + persistent("bob.db"))
    }

    private func connect(_ listener: Listener) throws -> Run {
      try peers.tool.start(
        [
          "connect", "--to", listener.address, "--peer", peers.bob, "--key", peers.tool.path("alice.pem"), "--json",
          "--for", "600", "--timeout", "60",
        ] + persistent("alice.db"))
    }

    /// Kills both processes: the first at once, the second after some time alone.
    private func kill(_ listener: Listener, connect: Run, random: inout SplitMix64) -> [Tool.Result] {
      let isListenerFirst = Bool.random(using: &random)
      let (first, second) = isListenerFirst ? (listener.run, connect) : (connect, listener.run)
      first.send(SIGKILL)
      if Bool.random(using: &random) { wait(upTo: 30_000, &random) }
      second.send(SIGKILL)
      return [first.finish(), second.finish()]
    }

    /// Any moment will do: nothing is passed or failed by how long this takes.
    private func wait(upTo microseconds: UInt32, _ random: inout SplitMix64) {
      usleep(.random(in: 0..<microseconds, using: &random))
    }

    private func check() throws {
      for name in ["alice.db", "bob.db"] {
        let result = try peers.tool.run("store", "check", store(name))
        #expect(result.exitCode == 0 && result.output == "no problems\n", "\(name): \(result.output)\(result.errors)")
      }
    }

    /// Waits for processes nearly all the time, on a thread of its own: those of other tests are
    /// few.
    @Test func neitherLocksTheOtherOut() async throws {
      try await withCheckedThrowingContinuation { continuation in
        Thread { continuation.resume(with: Result { try crash() }) }.start()
      }
    }

    private func crash() throws {
      var random = SplitMix64(seed: Self.seed)
      var crashes = 0
      while crashes < Self.crashes {
        // Both reconnect, whatever the kill interrupted.
        let (listener, connect) = try bringUp()
        for _ in 0..<Int.random(in: 0...3, using: &random) {
          _ = try #require(try connect.nextEvent { $0["state"] as? String == "rekeyed" }, "after \(crashes) crashes")
        }
        wait(upTo: 20_000, &random)
        expectNoDowngrade(kill(listener, connect: connect, random: &random))
        crashes += 1
        try check()
        if crashes % 8 == 1 { try backUp() }
        if crashes % 8 == 5 { try restore() }
        guard crashes < Self.crashes else { break }
        // Killed while the session opens: from the first packet to the first re-keys.
        let second = try listen()
        let attempt = try self.connect(second)
        wait(upTo: 300_000, &random)
        expectNoDowngrade(kill(second, connect: attempt, random: &random))
        crashes += 1
      }
      let (listener, connect) = try bringUp()
      connect.interrupt()
      listener.run.interrupt()
      expectNoDowngrade([connect.finish(), listener.run.finish()])
      try check()
    }

    private static let files = ["alice.db", "bob.db"].flatMap { name in ["", "-wal"].map { name + $0 } }

    /// Copies the stores of both killed processes at one time.
    private func backUp() throws {
      let folder = peers.tool.path("backup")
      if FileManager.default.fileExists(atPath: folder) { try FileManager.default.removeItem(atPath: folder) }
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
      for file in Self.files where FileManager.default.fileExists(atPath: peers.tool.path(file)) {
        try FileManager.default.copyItem(atPath: peers.tool.path(file), toPath: "\(folder)/\(file)")
      }
    }

    /// The operators restored a backup: on both sides, for one side alone loses its ratchet by
    /// that.
    private func restore() throws {
      for name in Self.files + ["alice.db-shm", "bob.db-shm"] {
        let path = peers.tool.path(name)
        if FileManager.default.fileExists(atPath: path) { try FileManager.default.removeItem(atPath: path) }
        let backup = peers.tool.path("backup/\(name)")
        if FileManager.default.fileExists(atPath: backup) {
          try FileManager.default.copyItem(atPath: backup, toPath: path)
        }
      }
      try check()
    }

    private func bringUp() throws -> (Listener, Run) {
      let listener = try listen()
      let connect = try connect(listener)
      if try connect.nextEvent(where: { $0["state"] as? String == "up" }) == nil {
        listener.run.send(SIGKILL)
        let alice = connect.finish()
        let bob = listener.run.finish()
        Issue.record("locked out; Alice: \(alice.errors) Bob: \(bob.errors)")
        throw LockedOut()
      }
      return (listener, connect)
    }

    private struct LockedOut: Error {}

    private func expectNoDowngrade(_ results: [Tool.Result]) {
      for result in results { #expect(!result.output.contains("downgrade"), "\(result.output)") }
    }
  }
#endif
