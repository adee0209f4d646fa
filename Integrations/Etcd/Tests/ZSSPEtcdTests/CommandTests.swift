// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension OverEtcd {
  @Suite("zssp-etcd", .timeLimit(.minutes(20)))
  struct CommandTests {
    private let nodes: EtcdNodes
    private let folder: Folder
    private let store: String
    private let alice: String
    private let bob: String

    init() throws {
      (nodes, folder) = (try EtcdNodes(), try Folder())
      store = "etcd://127.0.0.1:\(nodes.nodes[0].port)/fleet?tls=off"
      func keygen(_ name: String, _ folder: Folder) throws -> String {
        let result = try Program(["keygen", folder.path("\(name).pem")]).finish()
        return result.output.trimmingCharacters(in: .newlines)
      }
      (alice, bob) = (try keygen("alice", folder), try keygen("bob", folder))
      #expect(try Program(["otp", folder.path("otp")]).finish().exitCode == 0)
    }

    private func run(_ arguments: String...) throws -> (exitCode: Int32, output: String, errors: String) {
      try Program(arguments).finish()
    }

    @Test func operatorsSeeAndChangeWhatIsStored() throws {
      #expect(try run("version").output.contains("stores: etcd, "))
      let missing = try run("store", "list", store)
      #expect(missing.exitCode == 2 && missing.errors.contains("no ratchet store under /fleet"), "\(missing.errors)")
      let imported = try run("store", "import-otp", store, "--peer", alice, "--otp-file", folder.path("otp"))
      #expect(imported.exitCode == 0, "\(imported.errors)")
      #expect(try run("store", "list", store).output.contains(alice))
      #expect(try run("store", "show", store, alice).output.contains("chain length 1"))
      #expect(try run("store", "check", store).output == "no problems\n")
      // Into a file, away, and back.
      #expect(try run("store", "export", store, folder.path("export")).exitCode == 0)
      #expect(try run("store", "forget", store, alice).exitCode == 0)
      #expect(try run("store", "list", store).output.isEmpty)
      #expect(try run("store", "import", store, folder.path("export")).exitCode == 0)
      #expect(try run("store", "list", store).output.contains(alice))
    }

    @Test func whatIsWrongIsSaid() throws {
      let wrong = try run("store", "list", "etcd://u:secret@127.0.0.1/fleet")
      #expect(
        wrong.exitCode == 2 && wrong.errors.contains("must not be written here") && !wrong.errors.contains("secret"))
      let port = try freePorts(1)[0]
      let nobody = try run("store", "list", "etcd://127.0.0.1:\(port)/fleet?tls=off&timeout=0.5&call-timeout=0.5")
      #expect(nobody.exitCode == 1 && nobody.errors.contains("no answer"), "\(nobody.errors)")
    }

    /// Processes with one key and one store; each is killed while its peer has a session, and the
    /// peer goes to the next.
    @Test func aPeerGoesOnWithAnotherProcess() throws {
      func listen() throws -> (Program, address: String) {
        let listener = try Program([
          "listen", "--bind", "127.0.0.1:0", "--json", "--key", folder.path("bob.pem"), "--peer", alice, "--mode",
          "persistent", "--otp-file", folder.path("otp"), "--store", store, "--echo",
        ])
        let event = try #require(try listener.nextEvent { $0["event"] as? String == "listening" })
        return (listener, "127.0.0.1:\(try #require(event["port"] as? Int))")
      }
      var listeners = [try listen(), try listen()]
      var chainLength = 0
      for round in 0..<8 {
        let (listener, address) = listeners[round % 2]
        let connect = try Program([
          "connect", "--to", address, "--peer", bob, "--key", folder.path("alice.pem"), "--json", "--for", "600",
          "--timeout", "60", "--mode", "persistent", "--otp-file", folder.path("otp"), "--store",
          "file:\(folder.path("alice.ratchets"))", "--send", "1",
        ])
        let up = try connect.nextEvent { $0["event"] as? String == "session" && $0["state"] as? String == "up" }
        let length = try #require(up?["chainLength"] as? Int, "round \(round): \(connect.finish().errors)")
        #expect(length > chainLength)
        chainLength = length
        if round % 3 != 0 { _ = try connect.nextEvent { $0["event"] as? String == "data" } }
        listener.kill()
        connect.kill()
        _ = (listener.finish(), connect.finish())
        listeners[round % 2] = try listen()
      }
      for (listener, _) in listeners { listener.kill() }
      #expect(try run("store", "check", store).output == "no problems\n")
    }
  }
}
