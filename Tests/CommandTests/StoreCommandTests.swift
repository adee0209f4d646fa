// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPCommand

@Suite("zssp store", .tags(.slow), .ownThreads, .timeLimit(.minutes(20)))
struct StoreCommandTests {
  #if SQLite
    private static let kinds = ["sqlite", "file"]
  #else
    private static let kinds = ["file"]
  #endif

  private func expect(_ result: Tool.Result, exitCode: Int32, mentions: String...) {
    #expect(result.exitCode == exitCode, "\(result.output)\(result.errors)")
    for text in mentions { #expect(result.errors.contains(text), "\(result.errors)") }
  }

  /// A store with the state of a one-time password for Bob.
  private func filled(_ kind: String) throws -> (Peers, store: String) {
    let peers = try Peers()
    let store = "\(kind):\(peers.tool.path("store"))"
    expect(
      try peers.tool.run("store", "import-otp", store, "--peer", peers.bob, "--otp-file", peers.tool.path("otp")),
      exitCode: 0)
    return (peers, store)
  }

  @Test(arguments: kinds)
  func whatIsStoredIsShownWithoutKeys(kind: String) throws {
    let (peers, store) = try filled(kind)
    let state = try OneTimePassword.read(peers.tool.path("otp"))
    let key = Data(state.key.bytes.array)
    let fingerprint = Data(state.fingerprint.bytes)
    var outputs: [String] = []
    for arguments in [
      ["list", store], ["list", store, "--json"], ["show", store, peers.bob], ["show", store, peers.bob, "--json"],
      ["check", store], ["check", store, "--json"],
    ] {
      let result = try peers.tool.start(["store"] + arguments).finish()
      expect(result, exitCode: 0)
      outputs.append(result.output)
      for secret in [key, fingerprint] {
        #expect(!result.output.contains(secret.base64EncodedString()))
        #expect(!result.output.contains(Array(secret).rawBytes.hexadecimal))
      }
    }
    #expect(outputs[0].contains(peers.bob) && outputs[2].contains("chain length 1") && outputs[4] == "no problems\n")
    let listed = try #require(try JSONSerialization.jsonObject(with: Data(outputs[1].utf8)) as? [String: Any])
    #expect(listed["peer"] as? String == peers.bob)
    let revealed = try peers.tool.run("store", "show", store, peers.bob, "--reveal")
    #expect(
      revealed.output.contains(key.base64EncodedString()) && revealed.output.contains(fingerprint.base64EncodedString())
    )
  }

  @Test(arguments: kinds)
  func aRatchetIsReplacedAndForgottenOnlyWhenAsked(kind: String) throws {
    let (peers, store) = try filled(kind)
    let tool = peers.tool
    _ = try tool.run("otp", tool.path("other"))
    let again = ["store", "import-otp", store, "--peer", peers.bob, "--otp-file", tool.path("other")]
    expect(try tool.start(again).finish(), exitCode: 2, mentions: tool.path("store"), "--force")
    expect(try tool.start(again + ["--force"]).finish(), exitCode: 0)
    expect(
      try tool.run("store", "forget", store, peers.bob, peers.alice), exitCode: 2, mentions: "no ratchet",
      "nothing was changed")
    #expect(try tool.run("store", "list", store).output.contains(peers.bob))
    expect(try tool.run("store", "forget", store, peers.bob), exitCode: 0)
    #expect(try tool.run("store", "list", store).output == "")
    expect(try tool.run("store", "show", store, peers.bob), exitCode: 2, mentions: "no ratchet for the peer")
  }

  @Test(arguments: kinds)
  func aStoreIsMovedWhole(kind: String) throws {
    let (peers, store) = try filled(kind)
    let tool = peers.tool
    let other = "\(kind):\(peers.tool.path("other"))"
    expect(try tool.run("store", "export", store, tool.path("exported")), exitCode: 0)
    let mode = try FileManager.default.attributesOfItem(atPath: tool.path("exported"))[.posixPermissions]
    #expect((mode as? NSNumber)?.intValue == 0o600)
    expect(
      try tool.run("store", "export", store, tool.path("exported")), exitCode: 2, mentions: "exported exists already")
    expect(try tool.run("store", "export", store, "-"), exitCode: 2, mentions: "--reveal")
    let shown = try tool.run("store", "export", store, "-", "--reveal")
    #expect(try shown.output == String(contentsOfFile: tool.path("exported"), encoding: .utf8))
    expect(try tool.run("store", "import", other, tool.path("exported")), exitCode: 0)
    #expect(
      try tool.run("store", "show", other, peers.bob, "--reveal").output
        == tool.run("store", "show", store, peers.bob, "--reveal").output)
    // Of two ratchets for one peer nobody knows which is good.
    _ = try tool.run("otp", tool.path("otp2"))
    expect(
      try tool.run(
        "store", "import-otp", other, "--force", "--peer", peers.bob, "--otp-file", tool.path("otp2")), exitCode: 0)
    expect(
      try tool.run("store", "import", other, tool.path("exported")), exitCode: 2, mentions: peers.bob,
      "nothing was changed")
    expect(try tool.run("store", "import", other, tool.path("exported"), "--force"), exitCode: 0)
    try Data("{".utf8).write(to: URL(filePath: tool.path("broken")))
    expect(try tool.run("store", "import", other, tool.path("broken"), "--force"), exitCode: 2, mentions: "broken")
  }

  @Test(arguments: [
    (["list", "/nonexistent"], "/nonexistent: no such store"), (["list", "memory"], "memory"),
    (["check", "etcd://u:secret@[::1]:2379"], "no stores in etcd"), (["list", "sqlite:"], "a path is missing"),
    (["export", "file:/nonexistent", "/tmp/x"], "no such store"), (["show", "/nonexistent", "abc"], "abc"),
    (["forget", "/nonexistent"], "peers"),
  ])
  func usageErrorsNameTheThing(arguments: [String], mentions: String) throws {
    let result = try Tool().start(["store"] + arguments).finish()
    expect(result, exitCode: 2, mentions: mentions)
    // A password that was written where none belongs is not repeated.
    #expect(!result.errors.contains("secret"))
  }

  #if SQLite
    @Test func anEncryptedStoreNeedsItsKey() throws {
      let peers = try Peers()
      let tool = peers.tool
      let store = "sqlite:" + peers.tool.path("store")
      for name in ["key", "wrong"] { expect(try tool.run("store", "key", tool.path(name)), exitCode: 0) }
      let key = ["--store-key-file", tool.path("key")]
      let enroll = ["store", "import-otp", store, "--peer", peers.bob, "--otp-file", tool.path("otp")]
      expect(try tool.start(enroll + key).finish(), exitCode: 0)
      expect(try tool.run("store", "list", store), exitCode: 2, mentions: tool.path("store"), "its key is needed")
      expect(
        try tool.start(["store", "list", store, "--store-key-file", tool.path("wrong")]).finish(), exitCode: 2,
        mentions: "another key")
      expect(
        try tool.start(["store", "list", store, "--store-key-file", tool.path("otp.none")]).finish(), exitCode: 2,
        mentions: "otp.none")
      expect(
        try tool.start(["store", "list", store, "--store-key-file", tool.path("bob.pem")]).finish(), exitCode: 2,
        mentions: "bob.pem")
      #expect(try tool.start(["store", "list", store] + key).finish().output.contains(peers.bob))
      // In the place of the file, the environment.
      let text = try String(contentsOfFile: tool.path("key"), encoding: .utf8)
      #expect(try tool.start(["store", "list", store], environment: ["ZSSP_STORE_KEY": text]).finish().exitCode == 0)
      expect(
        try tool.start(["store", "list", store], environment: ["ZSSP_STORE_KEY": "short"]).finish(), exitCode: 2,
        mentions: "ZSSP_STORE_KEY"
      )
      // Whoever gives a key relies on it.
      expect(
        try tool.start(["listen", "--bind", "127.0.0.1:0", "--store", "file:" + tool.path("plain")] + key).finish(),
        exitCode: 2,
        mentions: "cannot be encrypted")
    }

    /// A path without a scheme means the kind of store that the file has; a new store is a
    /// database.
    @Test func aPathAloneIsWhatLiesThere() throws {
      let peers = try Peers()
      for (store, expected) in [("file:\(peers.tool.path("a"))", "file:"), (peers.tool.path("b"), "sqlite:")] {
        let path = store.hasPrefix("file:") ? String(store.dropFirst(5)) : store
        expect(
          try peers.tool.run(
            "store", "import-otp", store, "--peer", peers.bob, "--otp-file", peers.tool.path("otp")), exitCode: 0)
        #expect(try StoreLocation(path).description == expected + path)
        #expect(try peers.tool.run("store", "list", path).output.contains(peers.bob))
      }
    }

    @Test func aStoreInUseIsLeftAlone() throws {
      let peers = try Peers()
      let store = "sqlite:" + peers.tool.path("store")
      let listener = try peers.listen("--store", store)
      for arguments in [["list", store], ["check", store]] {
        expect(try peers.tool.start(["store"] + arguments).finish(), exitCode: 2, mentions: "in use by another process")
      }
      listener.run.interrupt()
      #expect(listener.run.finish().exitCode == 0)
      // It was closed in good order: nothing lies beside it but the lock.
      let names = try FileManager.default.contentsOfDirectory(atPath: peers.tool.folder.path)
      #expect(Set(names.filter { $0.hasPrefix("store") }) == ["store", "store.lock"])
    }
  #endif
}
