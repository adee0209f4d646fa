// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP

/// The endpoint against transcripts, each side alone: the same inputs must give the same bytes.
@Suite("Transcripts", .tags(.fast))
struct TranscriptTests {
  private func play(_ given: TranscriptCase, provider: any CryptoProvider) throws -> Replay {
    let transcript = try Transcript.load(given.name)
    let replay = try Replay(transcript, side: given.side, provider: provider)
    try replay.run()
    return replay
  }

  // [CHAL-1] [CHAL-2] [CHAL-7] [CHAL-9] [CTR-1] [CTRL-1] [CTRL-2] [CTRL-3] [CTRL-5] [DEC-62]
  // [FRAG-1] [HDR-1] [HDR-7] [KK-2] [KK-3] [KK-4] [KK-5] [KK-6] [KK-7] [KK-8] [KK-10] [KK-11]
  // [KK-12] [KK-13] [KK-14] [NOISE-15] [PKT-7] [PKT-8] [PROF-4] [PROF-5] [PROF-6] [XK-2] [XK-3]
  // [XK-4] [XK-5] [XK-6] [XK-14] [XK-15] [XK-16] [XK-17] [XK-19] [XK-20] [XK-21] [XK-22] [XK-24]
  // [XK-25] [XK-26] [XK-28] [XK-29] [XK-31] [XK-32] [XK-33]
  @Test(
    "packets, events, stores and questions are the recorded ones", arguments: providers,
    TranscriptCase.recorded + TranscriptCase.computed)
  func behavesAsRecorded(_ provider: any CryptoProvider, _ given: TranscriptCase) throws {
    let replay = try play(given, provider: provider)
    #expect(replay.tape.problems == [])
    #expect(replay.tape.rest == 0)
    #expect(replay.events == given.events)
    try checkStore(replay)
    try checkSwaps(replay, of: given)
    checkQuestions(replay)
  }

  // [NOISE-2] [NOISE-3] [NOISE-4] [NOISE-5] [NOISE-6] [NOISE-7] [NOISE-8] [NOISE-9] [NOISE-10]
  // [NOISE-11] [NOISE-12] [XK-23]
  @Test(
    "h, ck and k after each operation (section 3), and all derived keys", arguments: providers, TranscriptCase.recorded)
  func computesAsRecorded(_ provider: any CryptoProvider, _ given: TranscriptCase) throws {
    let replay = try play(given, provider: provider)
    let trace = replay.transcript.trace(of: given.side)
    var hashes = Subsequence(of: replay.tape.hashes)
    var codes = Subsequence(of: replay.tape.codes)
    var missing: [String] = []
    for (number, state) in trace.noise.enumerated() {
      if let hash = state.h?.bytes, !hashes.contains(hash) { missing.append("h after operation \(number)") }
      if let next = state.ck?.bytes, !codes.contains(next) { missing.append("ck after operation \(number)") }
      if let key = state.k?.bytes, !codes.contains(prefix: key) { missing.append("k after operation \(number)") }
    }
    #expect(missing == [])
    for pair in trace.derived {
      #expect(replay.tape.derived(pair.first.bytes, pair.second.bytes), "\(pair.label)")
    }
  }

  // [KK-3] [NOISE-13] [NOISE-14] [NOISE-15]
  @Test("keys after each handshake are those of the reference model", arguments: providers, TranscriptCase.computed)
  func derivesAsComputed(_ provider: any CryptoProvider, _ given: TranscriptCase) throws {
    let replay = try play(given, provider: provider)
    let handshakes = try #require(replay.transcript.handshakes)
    // Alice opens the session and begins the first re-key, Bob begins the second.
    let initiators: [Side] = [.alice, .alice, .bob]
    #expect(handshakes.count == initiators.count)
    for (keys, initiator) in zip(handshakes, initiators) {
      #expect(replay.tape.hashes.contains(keys.h.bytes))
      #expect(replay.tape.codes.contains(keys.ck.bytes))
      #expect(replay.tape.derived(keys.ratchetKey.bytes, keys.ratchetFingerprint.bytes))
      // The first of a pair is for what goes to the initiator of the handshake; header keys are
      // those of XK.
      let (first, second) = initiator == .alice ? (0, 1) : (1, 0)
      #expect(replay.tape.derived(keys.kekTo[first].bytes, keys.kekTo[second].bytes))
      #expect(replay.tape.derived(keys.nkTo[first].bytes, keys.nkTo[second].bytes))
      #expect(replay.tape.derived(keys.headerKeyTo[0].bytes, keys.headerKeyTo[1].bytes))
    }
  }

  private func checkStore(_ replay: Replay) throws {
    let transcript = replay.transcript
    let after = try MemoryRatchetStore(transcript.storesAfter[replay.side.rawValue] ?? [:])
    #expect(Set(replay.store.pairs.keys) == Set(after.pairs.keys))
    for (peer, pair) in after.pairs {
      let held = try #require(replay.store.pairs[peer])
      #expect(held.isIdentical(to: pair))
    }
  }

  private func checkSwaps(_ replay: Replay, of given: TranscriptCase) throws {
    guard let stored = replay.transcript.trace(of: replay.side).stored else { return }
    var wanted = stored.map { (expected: $0.expected.pair, new: $0.new.pair) }
    if given.name == "downgrade_bob_lost_state", given.side == .alice {
      // Upstream forgets the state that Bob did not know. Section 6: the second slot keeps the last
      // confirmed state.
      let first = try #require(wanted.first)
      wanted[0].new = RatchetPair(first.new.state1, first.expected.state1)
    }
    #expect(replay.swaps.count == wanted.count)
    for (number, (swap, wanted)) in zip(replay.swaps, wanted).enumerated() {
      #expect(swap.expected.isIdentical(to: wanted.expected), "swap \(number)")
      #expect(swap.new.isIdentical(to: wanted.new), "swap \(number)")
    }
  }

  private func checkQuestions(_ replay: Replay) {
    let asked = replay.transcript.trace(of: replay.side).asked
    #expect(replay.questions.map(\.peer.array) == asked.map(\.peer.bytes))
    #expect(replay.questions.allSatisfy { $0.identity == replay.transcript.identity.bytes })
    #expect(replay.questions.allSatisfy { $0.address == replay.side.other.address })
  }
}

/// Looks for byte strings in a list, each behind the one before.
private struct Subsequence {
  private var rest: ArraySlice<[UInt8]>

  init(of list: [[UInt8]]) { rest = list[...] }

  mutating func contains(_ bytes: [UInt8]) -> Bool { advance { $0 == bytes } }
  mutating func contains(prefix: [UInt8]) -> Bool { advance { $0.starts(with: prefix) } }

  private mutating func advance(past condition: ([UInt8]) -> Bool) -> Bool {
    guard let index = rest.firstIndex(where: condition) else { return false }
    rest = rest[(index + 1)...]
    return true
  }
}

extension Tape {
  /// Returns true if two HMAC outputs in a row, cut to 32 bytes, are these.
  func derived(_ first: [UInt8], _ second: [UInt8]) -> Bool {
    let codes = codes
    return zip(codes, codes.dropFirst()).contains { $0.starts(with: first) && $1.starts(with: second) }
  }
}
