// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSP
import ZSSPReference
import ZSSPSwiftCrypto
import ZSSPTestSupport

/// The reference against the transcripts that ZSSP is held against, each side alone: the same
/// inputs, the same bytes.
@Suite("The reference replays the transcripts", .tags(.fast))
struct ReferenceTranscriptTests {
  @Test(
    "packets, events, stores and questions are the recorded ones",
    arguments: TranscriptCase.recorded + TranscriptCase.computed)
  func behavesAsRecorded(_ given: TranscriptCase) throws {
    let replay = try ReferenceReplay(
      try Transcript.load(given.name), side: given.side, provider: SwiftCryptoProvider())
    try replay.run()
    #expect(replay.tape.problems == [])
    #expect(replay.tape.rest == 0)
    #expect(replay.events == given.events.map { $0.hasPrefix("withdrawn") ? "withdrawn" : $0 })
    try checkStore(replay)
    try checkSwaps(replay, of: given)
    let asked = replay.transcript.trace(of: given.side).asked
    #expect(replay.questions.map(\.peer.array) == asked.map(\.peer.bytes))
    #expect(replay.questions.allSatisfy { $0.identity == replay.transcript.identity.bytes })
  }

  private func checkStore(_ replay: ReferenceReplay) throws {
    let after = try Transcript.pairs(replay.transcript.storesAfter[replay.side.rawValue] ?? [:])
    #expect(Set(replay.store.pairs.keys) == Set(after.keys))
    for (peer, pair) in after {
      let held = try #require(replay.store.pairs[peer])
      #expect(held.isIdentical(to: pair))
    }
  }

  private func checkSwaps(_ replay: ReferenceReplay, of given: TranscriptCase) throws {
    guard let stored = replay.transcript.trace(of: replay.side).stored else { return }
    var wanted = stored.map { (expected: $0.expected.pair, new: $0.new.pair) }
    if given.name == "downgrade_bob_lost_state", given.side == .alice {
      // Upstream forgets the state that Bob did not know. Section 6: the second slot keeps the last
      // confirmed state.
      let first = try #require(wanted.first)
      wanted[0].new = RatchetPair(first.new.state1, first.expected.state1)
    }
    #expect(replay.store.swaps.count == wanted.count)
    for (swap, wanted) in zip(replay.store.swaps, wanted) {
      #expect(swap.expected.isIdentical(to: wanted.expected) && swap.new.isIdentical(to: wanted.new))
    }
  }

  /// The tests above take their cases from this list: if it were empty, they could not fail.
  @Test func thereAreTranscripts() {
    #expect(TranscriptCase.recorded.count == 38 && TranscriptCase.computed.count == 6)
  }
}
