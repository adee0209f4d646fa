// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ZSSP

/// The endpoint against transcripts, each side alone: the same inputs must give the same bytes.
@Suite("Transcripts")
struct TranscriptTests {
  /// A side of a transcript, and the events that it should see.
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let side: Side
    let events: [String]

    var testDescription: String { "\(name), \(side)" }
  }

  private static let established = "established 1"
  private static let resumed = "established 2"
  private static let confirmed = "confirmed"
  private static let rekeyed = ["rekeyed 2", "rekeyed 3"]

  /// Recorded from upstream peers: the profile `upstream`, every packet they sent.
  static let recorded: [Case] = [
    both("first_contact", [established], [established, confirmed]),
    both("large_identity", [established], [established, confirmed]),
    both("unfragmented_empty_identity", [established], [established, confirmed]),
    both("data", [established], [established, confirmed]),
    both("losses", [established], [established, confirmed]),
    both("x1_timeout", ["restarted timeout", established], [established, confirmed]),
    both("second_contact", [resumed], [resumed, confirmed]),
    both("one_time_password", [resumed], [resumed, confirmed]),
    both("downgrade_alice_lost_state", [established], ["downgraded 1", established, confirmed]),
    both("downgrade_bob_lost_state", ["downgraded 1", established], [established, confirmed]),
    both("initiator_refuses_downgrade", ["restarted notAuthentic"], []),
    both("responder_refuses_downgrade", ["ended rejected"], ["withdrawn refused"]),
    both("hello_requires_ratchet_silence", [], []),
    both("rejected", ["ended rejected"], ["withdrawn refused"]),
    both("rejected_silently", [], ["withdrawn refused"]),
    both("replay", [established], [established, confirmed]),
    both("challenge", [established], [established, confirmed]),
    both("rekey", [established] + rekeyed, [established, confirmed] + rekeyed),
    both("rekey_collision", [established, "rekeyed 2"], [established, confirmed, "rekeyed 2"]),
  ].flatMap(\.self)

  /// Computed by a reference model, one for each profile.
  static let computed: [Case] = Profile.allCases.flatMap { profile in
    both("oracle_\(profile.rawValue)", [established] + rekeyed, [established, confirmed] + rekeyed)
  }

  private static func both(_ name: String, _ alice: [String], _ bob: [String]) -> [Case] {
    [Case(name: name, side: .alice, events: alice), Case(name: name, side: .bob, events: bob)]
  }

  private func play(_ given: Case, _ provider: any CryptoProvider) throws -> Replay {
    let transcript = try Transcript.load(given.name)
    let replay = try Replay(transcript, side: given.side, provider: provider)
    try replay.run()
    return replay
  }

  @Test("packets, events, stores and questions are the recorded ones", arguments: providers, recorded + computed)
  func behavesAsRecorded(_ provider: any CryptoProvider, _ given: Case) throws {
    let replay = try play(given, provider)
    #expect(replay.tape.problems == [])
    #expect(replay.tape.rest == 0)
    #expect(replay.events == given.events)
    try checkStore(replay)
    try checkSwaps(replay, given)
    checkQuestions(replay)
  }

  @Test("h, ck and k after each operation (section 3), and all derived keys", arguments: providers, recorded)
  func computesAsRecorded(_ provider: any CryptoProvider, _ given: Case) throws {
    let replay = try play(given, provider)
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

  @Test("keys after each handshake are those of the reference model", arguments: providers, computed)
  func derivesAsComputed(_ provider: any CryptoProvider, _ given: Case) throws {
    let replay = try play(given, provider)
    let handshakes = try #require(replay.transcript.handshakes)
    // Alice opens the session and begins the first re-key, Bob begins the second.
    let initiators: [Side] = [.alice, .alice, .bob]
    #expect(handshakes.count == initiators.count)
    for (keys, initiator) in zip(handshakes, initiators) {
      #expect(replay.tape.hashes.contains(keys.h.bytes))
      #expect(replay.tape.codes.contains(keys.ck.bytes))
      #expect(replay.tape.derived(keys.ratchetKey.bytes, keys.ratchetFingerprint.bytes))
      // The first of a pair is for what goes to the initiator of the handshake; header keys are those of XK.
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

  private func checkSwaps(_ replay: Replay, _ given: Case) throws {
    guard let stored = replay.transcript.trace(of: replay.side).stored else { return }
    var wanted = stored.map { (expected: $0.expected.pair, new: $0.new.pair) }
    if given.name == "downgrade_bob_lost_state", given.side == .alice {
      // Upstream forgets the state that Bob did not know. Section 6: the second slot keeps the last confirmed state.
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
  /// Whether two HMAC outputs in a row, cut to 32 bytes, are these.
  func derived(_ first: [UInt8], _ second: [UInt8]) -> Bool {
    let codes = codes
    return zip(codes, codes.dropFirst()).contains { $0.starts(with: first) && $1.starts(with: second) }
  }
}

extension RatchetPair {
  /// Whether keys are the same too, which a store never compares.
  fileprivate func isIdentical(to other: RatchetPair) -> Bool {
    guard self == other, state1.key == other.state1.key else { return false }
    guard let state2, let other = other.state2 else { return true }
    return state2.key == other.key
  }
}
