// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@Suite("An initiator whose peer never answers (section 11)", .tags(.fast))
struct UnansweredHelloTests {
  // [TIME-1] [TIME-2] [XK-1]
  @Test func itTriesAgainWithFreshKeysUntilItIsToldToStop() throws {
    let pair = try Pair.persistent(FastCrypto(seed: 0x0A))
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let end = pair.now.advanced(by: .seconds(35))
    var hellos: [[UInt8]] = []
    func take() {
      let sent = pair.alice.pump(at: pair.now)
      #expect(sent.count == 2 || sent.isEmpty)
      if sent.count == 2 { hellos.append(Array(sent[0].bytes.dropFirst(16) + sent[1].bytes.dropFirst(16))) }
    }
    take()
    while let deadline = pair.alice.nextDeadline, deadline <= end {
      pair.skip(pair.now.duration(to: deadline))
      pair.alice.advance(to: pair.now)
      take()
    }
    // One Hello a second, the same for ten seconds.
    #expect(hellos.count == 36)
    let attempts = [0..<10, 10..<20, 20..<30, 30..<36].map { Array(hellos[$0]) }
    for attempt in attempts { #expect(Set(attempt).count == 1) }
    let different: [(String, Range<Int>)] = [
      ("key id", 0..<4), ("ephemeral key", 4..<53), ("encapsulation key", 53..<1637), ("fingerprints", 1637..<1717),
    ]
    for (name, range) in different {
      #expect(Set(attempts.map { Array($0[0][range]) }).count == 4, "the \(name) is new each time")
    }
    let restarts = pair.alice.events.compactMap { if case .restarted(_, let reason) = $0 { reason } else { nil } }
    #expect(restarts == [.timeout, .timeout, .timeout])
    let description = try #require(pair.alice.description(session))
    #expect(description.lastRestart == .timeout && description.state == "A1" && !description.isEstablished)
    #expect(description.statistics.handshakes == 4)
    #expect(pair.alice.diagnostics.keyIDs == 1 && pair.alice.diagnostics.requests == 0)
    // The peer is there after all.
    pair.run(for: .seconds(1))
    #expect(pair.alice.state(session) == "S2")
    pair.alice.close(session)
    #expect(pair.alice.diagnostics.keyIDs == 0 && pair.alice.nextDeadline == nil)
  }
}
