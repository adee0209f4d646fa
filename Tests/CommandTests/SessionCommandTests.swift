// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import Testing
import ZSSPTestSupport

@testable import ZSSPCommand

@Suite("zssp listen and connect", .tags(.slow), .ownThreads, .timeLimit(.minutes(20)))
struct SessionCommandTests {
  @Test(arguments: ["127.0.0.1", "[::1]"])
  func madeMessagesArriveIntactAndAreEchoed(host: String) throws {
    let tool = try Tool()
    let listener = try Listener(tool, host: host, arguments: "--echo")
    let connect = try tool.start([
      "connect", "--to", listener.address, "--peer", listener.key, "--identity", "alice", "--json", "--send", "3",
      "--size", "5,1400,60000", "--for", "600",
    ])
    let new = try #require(try listener.run.nextEvent { $0["event"] as? String == "session" })
    #expect(new["state"] as? String == "new" && new["identity"] as? String == "alice")
    for length in [5, 1400, 60_000] {
      let data = try #require(try listener.run.nextEvent { $0["event"] as? String == "data" })
      #expect(data["length"] as? Int == length)
      let echo = try #require(try connect.nextEvent { $0["event"] as? String == "data" })
      #expect(echo["length"] as? Int == length && echo["sha256"] as? String == data["sha256"] as? String)
      #expect(length < 8 || echo["pattern"] as? String == "ok")
    }
    connect.interrupt()
    #expect(connect.finish().exitCode == 0)
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  /// The datagrams of its peers have the number in front, where a load balancer finds it.
  @Test func aListenerWithANumber() throws {
    let tool = try Tool()
    let listener = try Listener(tool, arguments: "--node", "5/8", "--shards", "2", "--echo")
    let result = try tool.run("connect", "--to", listener.address, "--peer", listener.key, "--send", "2")
    #expect(result.exitCode == 0, "\(result.errors)")
    #expect(NodeNumber(argument: "5/8")?.description == "5/8" && NodeNumber(argument: "65535/16")?.number == 65_535)
    for wrong in ["5", "8/3", "1/0", "0/17", "-1/8", "1/8/2", "a/8", ""] {
      #expect(NodeNumber(argument: wrong) == nil)
      #expect(try tool.run("listen", "--bind", "127.0.0.1:0", "--node", wrong).exitCode == 2)
    }
    let full = try tool.run("listen", "--bind", "127.0.0.1:0", "--node", "1/16", "--shards", "2")
    #expect(full.exitCode == 2 && full.errors.contains("15 bits"), "\(full.errors)")
  }

  /// Clients at several ports, whose sessions come to whichever shard.
  @Test func aListenerOfSeveralShards() throws {
    let tool = try Tool()
    let listener = try Listener(tool, arguments: "--shards", "4", "--echo")
    for _ in 0..<4 {
      let result = try tool.run(
        "connect", "--to", listener.address, "--peer", listener.key, "--send", "3", "--size", "10,9000")
      #expect(result.exitCode == 0, "\(result.errors)")
      for _ in 0..<3 {
        let data = try #require(try listener.run.nextEvent { $0["event"] as? String == "data" })
        #expect(data["pattern"] as? String == "ok")
      }
    }
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  @Test func providersOfBothEndsMayDiffer() throws {
    let tool = try Tool()
    let listener = try Listener(tool, arguments: "--crypto", "swift-crypto")
    let result = try tool.run(
      "connect", "--to", listener.address, "--peer", listener.key, "--crypto", "fastest", "--send", "1")
    #expect(result.exitCode == 0, "\(result.errors)")
    let data = try #require(try listener.run.nextEvent { $0["event"] as? String == "data" })
    #expect(data["pattern"] as? String == "ok")
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  /// A provider that was asked for by name is never replaced by another.
  @Test func aProviderThatIsNotThereIsNamed() throws {
    for name in ["openssl", "openssl-fips", "ipsec-mb", "crypto-mb"] {
      let result = try Tool().run(
        "connect", "--to", "127.0.0.1:1", "--peer", validKey, "--crypto", name, "--timeout", "0.1")
      // Where it is there, nobody answers.
      #expect(result.exitCode == 1 || result.exitCode == 2 && result.errors.contains("--crypto \(name): "))
    }
  }

  @Test func linesOfStandardInputAreMessages() throws {
    let tool = try Tool()
    let listener = try Listener(tool)
    let input = Pipe()
    let connect = try tool.start(
      ["connect", "--to", listener.address, "--peer", listener.key], input: input.fileHandleForReading)
    try input.fileHandleForWriting.write(contentsOf: Data("hello\n".utf8))
    let data = try #require(try listener.run.nextEvent { $0["event"] as? String == "data" })
    let expected = SHA256.hash(data: Data("hello".utf8)).map { String(format: "%02x", $0) }.joined()
    #expect(data["sha256"] as? String == expected && data["length"] as? Int == 5)
    try input.fileHandleForWriting.close()
    #expect(connect.finish().exitCode == 0)
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  /// Lines that were read ahead and never sent used to be able to end the program in a trap.
  @Test func linesThatAreLeftDoNoHarm() throws {
    let tool = try Tool()
    let listener = try Listener(tool)
    let file = tool.folder.appending(path: "lines")
    try Data(String(repeating: "line\n", count: 200).utf8).write(to: file)
    for _ in 0..<3 {
      let connect = try tool.start(
        ["connect", "--to", listener.address, "--peer", listener.key, "--for", "0.001"],
        input: FileHandle(forReadingFrom: file))
      let result = connect.finish()
      // So short a time may be over before there is a session, which is a failure of the protocol;
      // a trap is neither.
      #expect([0, 1].contains(result.exitCode), "\(result.exitCode) \(result.errors)")
    }
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  @Test func profilesAddressesAndPausesAreAsAsked() throws {
    let tool = try Tool()
    let listener = try Listener(tool, arguments: "--profile", "mlkem1024", "--challenge", "off", "--pi4", "on")
    let connect = try tool.start([
      "connect", "--to", listener.address, "--peer", listener.key, "--bind", "127.0.0.1:0", "--profile", "mlkem1024",
      "--send", "3", "--size", "10", "--interval", "1", "--json",
    ]).finish()
    #expect(connect.exitCode == 0, "\(connect.errors)")
    for _ in 0..<3 {
      let data = try #require(try listener.run.nextEvent { $0["event"] as? String == "data" })
      #expect(data["length"] as? Int == 10 && data["pattern"] as? String == "ok")
    }
    // Another profile is another protocol.
    let other = try tool.run("connect", "--to", listener.address, "--peer", listener.key, "--timeout", "0.3")
    #expect(other.exitCode == 1 && other.errors.contains("no session in time"))
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  /// A peer's messages and identity cannot control the terminal.
  @Test func controlCharactersOfAPeerAreNotShown() throws {
    let tool = try Tool()
    let listener = try Listener(tool)
    let input = Pipe()
    let connect = try tool.start(
      ["connect", "--to", listener.address, "--peer", listener.key, "--identity", "\u{1B}[2Jx"],
      input: input.fileHandleForReading)
    try input.fileHandleForWriting.write(contentsOf: Data("a\u{1B}]0;evil\u{7}\u{202E}b\n".utf8))
    _ = try #require(try listener.run.nextEvent { $0["event"] as? String == "data" })
    try input.fileHandleForWriting.close()
    #expect(connect.finish().exitCode == 0)
    listener.run.interrupt()
    let shown = listener.run.finish().errors
    #expect(shown.contains("a\\u{1b}]0;evil\\u{7}\\u{202e}b"))
    #expect(!shown.unicodeScalars.contains { $0.value < 32 && $0 != "\n" })
  }

  @Test func aSessionThatEndsByItselfIsAFailure() throws {
    let tool = try Tool()
    let listener = try Listener(tool, arguments: "--echo")
    let connect = try tool.start([
      "connect", "--to", listener.address, "--peer", listener.key, "--json", "--send", "1", "--for", "600",
      "--rekey-after", "0.2s", "--rekey-timeout", "0.3s", "--once",
    ])
    _ = try #require(try connect.nextEvent { $0["state"] as? String == "up" })
    listener.run.send(SIGKILL)
    _ = listener.run.finish()
    let result = connect.finish()
    #expect(result.exitCode == 1 && result.errors.contains("did not answer a re-key"), "\(result.errors)")
  }

  /// A command that is interrupted sends a goodbye.
  @Test func aPeerThatLeavesSaysSo() throws {
    let tool = try Tool()
    let listener = try Listener(tool, arguments: "--echo")
    let connect = try tool.start([
      "connect", "--to", listener.address, "--peer", listener.key, "--json", "--send", "1", "--for", "600", "--once",
    ])
    _ = try #require(try connect.nextEvent { $0["state"] as? String == "up" })
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
    let result = connect.finish()
    #expect(result.exitCode == 1 && result.errors.contains("the peer closed it"), "\(result.errors)")
  }

  /// Names have several addresses, of which the listener has one.
  @Test func namesAreConnectedTo() throws {
    let tool = try Tool()
    let listener = try Listener(tool)
    let port = try #require(listener.address.split(separator: ":").last)
    for more in [[], ["--bind", "0.0.0.0:0"], ["--once"]] {
      let result = try tool.start(
        ["connect", "--to", "localhost:\(port)", "--peer", listener.key, "--send", "1"] + more
      ).finish()
      #expect(result.exitCode == 0, "\(result.errors)")
    }
    let unknown = try tool.run("connect", "--to", "no-such-host.invalid:1", "--peer", listener.key)
    #expect(unknown.exitCode == 2 && unknown.errors.contains("\"no-such-host.invalid\" is not known"))
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  /// The listener is started again at its port with its key, and the session is opened again.
  @Test func aSessionIsOpenedAgain() throws {
    let tool = try Tool()
    let key = try tool.run("keygen", tool.path("bob.pem")).output.trimmingCharacters(in: .newlines)
    let first = try Listener(tool, arguments: "--key", tool.path("bob.pem"))
    let connect = try tool.start([
      "connect", "--to", first.address, "--peer", key, "--json", "--echo", "--rekey-after", "2s",
      "--rekey-timeout", "3s", "--timeout", "60",
    ])
    _ = try #require(try connect.nextEvent { $0["state"] as? String == "up" })
    first.run.interrupt()
    #expect(first.run.finish().exitCode == 0)
    let waiting = try #require(try connect.nextEvent { $0["state"] as? String == "waiting" })
    #expect((waiting["reason"] as? String)?.contains("session has ended") == true)
    let second = try tool.start([
      "listen", "--bind", first.address, "--key", tool.path("bob.pem"), "--json", "--send", "1",
    ])
    let again = try #require(try connect.nextEvent { $0["state"] as? String == "up" })
    #expect(try #require(again["session"] as? Int) >= 2)
    let data = try #require(try connect.nextEvent { $0["event"] as? String == "data" })
    #expect(data["pattern"] as? String == "ok")
    connect.interrupt()
    #expect(connect.finish().exitCode == 0)
    second.interrupt()
    #expect(second.finish().exitCode == 0)
  }

  /// The message of a timeout names only the causes that fit what was seen.
  @Test func causesOfATimeoutAreNamed() throws {
    let tool = try Tool()
    let result = try tool.run("connect", "--to", "127.0.0.1:1", "--peer", validKey, "--timeout", "1.5")
    #expect(result.exitCode == 1 && result.errors.contains("most likely:"), "\(result.errors)")
    #expect(!result.errors.contains("has not accepted"))
  }

  @Test func onlyAllowedPeersAreAccepted() throws {
    let tool = try Tool()
    let allowed = try tool.run("keygen", tool.path("allowed.pem")).output.trimmingCharacters(in: .newlines)
    let listener = try Listener(tool, arguments: "--peer", allowed)
    let stranger = try tool.start([
      "connect", "--to", listener.address, "--peer", listener.key, "--json", "--send", "1",
    ]).finish()
    #expect(stranger.exitCode == 1 && stranger.output.contains(#""event":"rejected""#))
    #expect(stranger.errors.contains("the peer refused"))
    let friend = try tool.start([
      "connect", "--to", listener.address, "--peer", listener.key, "--key", tool.path("allowed.pem"), "--send", "1",
    ]).finish()
    #expect(friend.exitCode == 0, "\(friend.errors)")
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  @Test func aPeerThatDoesNotAnswerIsAFailureOfTheProtocol() throws {
    let tool = try Tool()
    let listener = try Listener(tool)
    let other = try tool.run("keygen", tool.path("other.pem")).output.trimmingCharacters(in: .newlines)
    let result = try tool.run("connect", "--to", listener.address, "--peer", other, "--timeout", "0.2")
    #expect(result.exitCode == 1 && result.errors.contains("no session in time"))
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  @Test func aPortInUseIsNamed() throws {
    let tool = try Tool()
    let listener = try Listener(tool)
    let result = try tool.run("listen", "--bind", listener.address)
    let port = try #require(listener.address.split(separator: ":").last)
    #expect(result.exitCode == 2 && result.errors.contains("port in use") && result.errors.contains(port))
    listener.run.interrupt()
    #expect(listener.run.finish().exitCode == 0)
  }

  @Test(arguments: [
    (["connect", "--to", "nowhere", "--peer", validKey], "nowhere"),
    (["connect", "--to", "127.0.0.1:1", "--peer", "abc"], "abc"),
    (["connect", "--to", "127.0.0.1:1", "--peer", offCurveKey], "not a point of the curve"),
    (["connect", "--to", "127.0.0.1:1"], "--peer"),
    (["connect", "--to", "127.0.0.1:1", "--peer", validKey, "--key", "/nonexistent/key.pem"], "/nonexistent/key.pem"),
    (["listen", "--bind", "127.0.0.1:0", "--mtu", "127"], "--mtu 127"),
    (["listen", "--bind", "127.0.0.1:0", "--profile", "none"], "none"),
    (["listen", "--bind", "127.0.0.1:0", "--shards", "3"], "--shards 3"),
    (["listen", "--bind", "127.0.0.1:0", "--shards", "0"], "--shards 0"),
    (["listen", "--bind", "127.0.0.1:0", "--send", "1", "--size", "60000", "--mtu", "128"], "--size 60000"),
    (["listen", "--bind", "127.0.0.1:0", "--size", "a"], "'a'"),
    (["listen", "--bind", "127.0.0.1:0", "--peer", "xyz"], "xyz"),
    (["demo", "--mtu", "1"], "--mtu 1"),
    (["demo", "--crypto", "rot13"], "rot13"),
    (["listen", "--bind", "127.0.0.1:0", "--crypto", "rot13"], "rot13"),
  ])
  func usageErrorsNameTheThing(arguments: [String], mentions: String) throws {
    let result = try Tool().start(arguments).finish()
    #expect(result.exitCode == 2, "\(result.errors)")
    #expect(result.errors.localizedCaseInsensitiveContains(mentions), "\(result.errors)")
    #expect(result.output.isEmpty)
  }

  @Test func theListenerSaysAloudThatItAcceptsAnyone() throws {
    let tool = try Tool()
    let listener = try Listener(tool)
    listener.run.interrupt()
    #expect(listener.run.finish().errors.contains("accepting ANYONE"))
  }

  /// A program whose parent ignores the signal used to lose one that came right after its first
  /// line.
  @Test func anEarlyInterruptIsNotLost() throws {
    for number in [SIGINT, SIGTERM] {
      let previous = signal(number, SIG_IGN)
      defer { signal(number, previous) }
      for _ in 0..<10 {
        let tool = try Tool()
        let listener = try Listener(tool)
        listener.run.send(number)
        let result = listener.run.finish()
        #expect(result.exitCode == 0, "signal \(number): \(result.errors)")
      }
    }
  }
}

/// A key that is a point of P-384: the generator.
let validKey =
  "03aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
/// An x-coordinate that no point has.
private let offCurveKey =
  "02" + String(repeating: "0", count: 95) + "1"
