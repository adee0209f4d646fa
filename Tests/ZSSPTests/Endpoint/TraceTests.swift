// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

/// A traced endpoint records what it does, in order, and no secrets.
@Suite(.tags(.fast))
struct TraceTests {
  private final class Sink: TraceSink {
    func write(_ records: [TraceRecord], of shard: Int) {}
  }

  private static func exchange(policy: HelloPolicy = .allow) throws -> (alice: [String], bob: [String]) {
    let pair = try Pair(provider: FastCrypto(seed: 1), helloPolicy: policy, trace: Sink())
    let id = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.run(for: .seconds(5))
    _ = pair.alice.rekey(id, at: pair.now)
    pair.settle()
    pair.alice.close(id)
    pair.settle()
    return (lines(pair.alice), lines(pair.bob))
  }

  private static func lines(_ peer: TestPeer) -> [String] {
    peer.takeTrace().map { $0.line("0", at: .nanoseconds($0.time.nanoseconds)) }
  }

  /// Returns the values of a field, in order.
  private static func values(_ lines: [String], _ event: String, _ field: String) -> [String] {
    lines.filter { $0.contains("\"ev\":\"\(event)\"") }.compactMap { line in
      guard let start = line.ranges(of: "\"\(field)\":\"").first else { return nil }
      return String(line[start.upperBound...].prefix { $0 != "\"" })
    }
  }

  @Test func aSessionFromBeginningToEnd() throws {
    let (alice, bob) = try Self.exchange()
    #expect(Self.values(alice, "state", "to") == ["A1", "A3", "S2", "R1", "S1", "S2", "ended"])
    #expect(Self.values(alice, "sent", "kind") == ["X1", "X3", "C2", "K1", "C1", "D"])
    #expect(Self.values(alice, "received", "kind") == ["X2", "C1", "K2", "C2"])
    #expect(Self.values(bob, "received", "kind") == ["X1", "X3", "C2", "K1", "C1", "D"])
    #expect(Self.values(bob, "sent", "kind") == ["X2", "C1", "K2", "C2"])
    #expect(Self.values(bob, "state", "to").prefix(3) == ["reading X1", "waiting to write X2", "writing X2"])
    #expect(Self.values(bob, "state", "to").contains("B2") && Self.values(bob, "state", "to").contains("done"))
    #expect(Self.values(bob, "acceptAnswer", "answer") == ["accept"])
    #expect(Self.values(alice, "store", "op").prefix(2) == ["load", "swap"])
    #expect(Self.values(alice, "work", "kind") == ["hello", "responseReceived", "rekey", "rekeyCompleted"])
  }

  @Test func aChallenge() throws {
    let (alice, bob) = try Self.exchange(policy: .challenge)
    #expect(Self.values(bob, "sent", "kind").first == "challenge")
    #expect(Self.values(alice, "received", "kind").first == "challenge")
    #expect(Self.values(alice, "timer", "timer").contains("resend"))
    #expect(Self.values(alice, "work", "kind").contains("proofOfWork"))
  }

  @Test func anEndpointThatIsNotTracedKeepsNothing() throws {
    let pair = try Pair(provider: FastCrypto(seed: 1))
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.takeTrace().isEmpty && pair.bob.takeTrace().isEmpty)
  }

  /// Records that nobody takes stay bounded, and their number is known.
  @Test func recordsThatNobodyTakes() throws {
    let log = TraceLog()
    for number in 0..<70_000 { log.add(.timer("resend"), at: .milliseconds(Int64(number))) }
    let records = log.take(Statistics())
    #expect(records.count == (1 << 16) + 1)
    guard case .omitted(let count)? = records.last?.event else {
      Issue.record("the last record does not count")
      return
    }
    #expect(count == 70_000 - 1 << 16)
    #expect(log.take(Statistics()).isEmpty)
  }

  @Test(arguments: [
    ("plain", "\"plain\""), ("a\"b\\c", #""a\"b\\c""#), ("line\nfeed\u{1}", #""line\u000afeed\u0001""#), ("ü", "\"ü\""),
  ])
  func texts(_ text: String, quoted: String) {
    var line = TraceLine()
    line.add("x", text)
    #expect(line.text == "{\"x\":\(quoted)}")
  }

  @Test(arguments: [
    (Duration.zero, "0.000000"), (.nanoseconds(1999), "0.000001"), (.milliseconds(1500), "1.500000"),
    (.milliseconds(-1500), "-1.500000"), (.seconds(86_400), "86400.000000"),
  ])
  func times(_ time: Duration, text: String) {
    var line = TraceLine()
    line.add("t", time)
    #expect(line.text == "{\"t\":\(text)}")
  }
}
