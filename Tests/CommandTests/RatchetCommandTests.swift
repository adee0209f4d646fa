// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

@Suite("zssp with ratchets: modes, stores, one-time passwords", .tags(.slow), .ownThreads, .timeLimit(.minutes(20)))
struct RatchetCommandTests {
  // [RAT-11]
  /// An initiator with a one-time password insists on it in any mode (section 9).
  @Test func aPasswordIsInsistedOn() throws {
    let peers = try Peers()
    let listener = try peers.listen()
    let connect = try peers.connect(
      listener, "--otp-file", peers.tool.path("otp"), "--send", "1", "--timeout", "1.5"
    ).finish()
    #expect(connect.exitCode == 1 && !connect.output.contains(#""event":"downgrade""#), "\(connect.output)")
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
    let contradiction = try peers.connect(listener, "--otp-file", peers.tool.path("otp"), "--pi2", "off").finish()
    #expect(contradiction.exitCode == 2 && contradiction.errors.contains("--pi2 off"))
  }

  @Test func otpMakesAPasswordForOneself() throws {
    let tool = try Tool()
    let first = try tool.run("otp")
    let second = try tool.run("otp")
    #expect(first.exitCode == 0 && first.output != second.output)
    #expect(Data(base64Encoded: first.output.trimmingCharacters(in: .newlines))?.count == 32)
    #expect(try tool.run("otp", tool.path("otp")).exitCode == 0)
    #expect(try tool.run("otp", tool.path("otp")).exitCode == 2)
    let mode = try FileManager.default.attributesOfItem(atPath: tool.path("otp"))[.posixPermissions]
    #expect((mode as? NSNumber)?.intValue == 0o600)
  }

  @Test func persistentPeersMeetByPasswordAndThenByRatchet() throws {
    let peers = try Peers()
    let tool = peers.tool
    let persistent = ["--mode", "persistent", "--otp-file", peers.tool.path("otp")]
    for chainLength in [2, 3, 4] {
      // Both processes begin anew every time; only the stores remain.
      let listener = try Listener(
        tool,
        arguments: ["--key", tool.path("bob.pem"), "--peer", peers.alice, "--store", tool.path("bob.store")]
          + persistent)
      let connect = try tool.start(
        [
          "connect", "--to", listener.address, "--peer", peers.bob, "--key", tool.path("alice.pem"), "--json", "--send",
          "1", "--store", tool.path("alice.store"),
        ] + persistent)
      let up = try #require(try connect.nextEvent { $0["event"] as? String == "session" })
      #expect(up["state"] as? String == "up" && up["chainLength"] as? Int == chainLength)
      #expect(connect.finish().exitCode == 0)
      _ = try #require(try listener.run.nextEvent { $0["event"] as? String == "data" })
      listener.run.interrupt()
      let result = listener.run.finish()
      #expect(result.exitCode == 0 && !result.errors.contains("WARNING"))
    }
    let mode = try FileManager.default.attributesOfItem(atPath: tool.path("bob.store"))[.posixPermissions]
    #expect((mode as? NSNumber)?.intValue == 0o600)
  }

  @Test func aLostStoreIsReportedInOpportunisticModeAndRefusedInPersistentMode() throws {
    let peers = try Peers()
    let tool = peers.tool
    let store = ["--store", peers.tool.path("bob.store")]
    var listener = try peers.listen(store[0], store[1])
    #expect(try peers.connect(listener, "--send", "1", "--store", tool.path("alice.store")).finish().exitCode == 0)
    // Alice comes without her store.
    #expect(try peers.connect(listener, "--send", "1").finish().exitCode == 0)
    let downgrade = try #require(try listener.run.nextEvent { $0["event"] as? String == "downgrade" })
    #expect(downgrade["peer"] as? String == peers.alice)
    listener.run.interrupt()
    #expect(listener.run.finish().errors.contains("WARNING"))

    listener = try peers.listen(store[0], store[1], "--mode", "persistent")
    let refused = try peers.connect(listener, "--send", "1", "--timeout", "0.5").finish()
    #expect(refused.exitCode == 1 && refused.errors.contains("no session in time"))
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  @Test func keysAreReplacedAsOftenAsAsked() throws {
    let peers = try Peers()
    let listener = try peers.listen("--rekey-after", "0.05s")
    let connect = try peers.connect(listener, "--rekey-after", "0.05s", "--for", "600")
    for _ in 0..<3 {
      _ = try #require(try connect.nextEvent { $0["state"] as? String == "rekeyed" })
    }
    connect.interrupt()
    #expect(connect.finish().exitCode == 0)
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  @Test func aChallengedHelloGetsThrough() throws {
    let peers = try Peers()
    let listener = try peers.listen("--challenge", "always")
    #expect(try peers.connect(listener, "--send", "1").finish().exitCode == 0)
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  @Test(arguments: [
    ("not JSON", "not a ratchet store"), ("{}", "not a ratchet store"),
    (#"{"format":"something else","version":1,"peers":{}}"#, "not a ratchet store"),
    (#"{"format":"zssp ratchet store","version":9,"peers":{}}"#, "newer"),
    (
      #"{"format":"zssp ratchet store","version":1,"peers":{"abc":{"state1":{"key":"","fingerprint":"","chainLength":1}}}}"#,
      "damaged"
    ),
  ])
  func aStoreThatIsNoneIsLeftAlone(content: String, mentions: String) throws {
    let tool = try Tool()
    try Data(content.utf8).write(to: URL(filePath: tool.path("store")))
    let result = try tool.run("listen", "--bind", "127.0.0.1:0", "--store", tool.path("store"))
    #expect(result.exitCode == 2 && result.errors.contains(mentions) && result.errors.contains("store"))
    #expect(try String(contentsOfFile: tool.path("store"), encoding: .utf8) == content)
  }

  @Test("bug: of two entries for one peer, one in base64 and one in hexadecimal digits, any was taken")
  func aPeerThatIsThereTwiceIsNotTaken() throws {
    let tool = try Tool()
    _ = try tool.run("keygen", tool.path("key"))
    let names = try [tool.run("pubkey", tool.path("key")), tool.run("pubkey", tool.path("key"), "--hex")].map {
      $0.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
    let bytes = Data(repeating: 7, count: 32).base64EncodedString()
    let state = #"{"state1":{"key":"\#(bytes)","fingerprint":"\#(bytes)","chainLength":1}}"#
    let entries = names.map { #""\#($0)":\#(state)"# }.joined(separator: ",")
    let content = #"{"format":"zssp ratchet store","version":1,"peers":{\#(entries)}}"#
    try Data(content.utf8).write(to: URL(filePath: tool.path("store")))
    let result = try tool.run("listen", "--bind", "127.0.0.1:0", "--store", tool.path("store"))
    #expect(result.exitCode == 2 && result.errors.contains("another entry"))
    #expect(try String(contentsOfFile: tool.path("store"), encoding: .utf8) == content)
  }

  @Test func aStoreIsForOneProcessAtATime() throws {
    let peers = try Peers()
    let listener = try peers.listen("--store", peers.tool.path("store"))
    let second = try peers.tool.run("listen", "--bind", "127.0.0.1:0", "--store", peers.tool.path("store"))
    #expect(second.exitCode == 2 && second.errors.contains("in use by another process"))
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  @Test(arguments: [
    (["--mode", "strict"], "strict"), (["--pi1", "maybe"], "maybe"), (["--rekey-after", "soon"], "soon"),
    (["--challenge", "always", "--pi1", "on"], "--challenge always"), (["--otp-file", "/nonexistent"], "--peer"),
    (["--store", "/nonexistent/folder/store"], "/nonexistent/folder/store"),
  ])
  func usageErrorsNameTheThing(arguments: [String], mentions: String) throws {
    let result = try Tool().start(["listen", "--bind", "127.0.0.1:0"] + arguments).finish()
    #expect(result.exitCode == 2 && result.errors.contains(mentions), "\(result.errors)")
  }

  @Test func aShortPasswordIsRefused() throws {
    let peers = try Peers()
    try Data("short\n".utf8).write(to: URL(filePath: peers.tool.path("weak")))
    let result = try peers.tool.run(
      "listen", "--bind", "127.0.0.1:0", "--peer", peers.alice, "--otp-file", peers.tool.path("weak"))
    #expect(result.exitCode == 2 && result.errors.contains("weak: a one-time password of 5 bytes is too short"))
  }
}
