// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import ZSSPTestSupport
import ZSSP

/// ZSSP and the reference, with the same randomness and the same input, must do the same.
@Suite("ZSSP and the reference agree on random schedules", .tags(.slow))
struct DifferentialTests {
  /// The seeds to run: `ZSSP_DIFFERENTIAL_SEEDS` for long runs.
  static let seeds: ClosedRange<UInt64> = {
    let count = ProcessInfo.processInfo.environment["ZSSP_DIFFERENTIAL_SEEDS"].flatMap { UInt64($0) }
    return 1...max(1, count ?? (TestSelection.isAll ? 10 : 2))
  }()

  @Test("datagrams, events, messages, stores and timers are the same", arguments: seeds)
  func agree(seed: UInt64) throws {
    let wanted = try World(seed: seed, .zssp, .zssp)
    try wanted.run(steps: 40)
    for (one, other) in [(.zssp, .reference), (.reference, .zssp), (.reference, .reference)]
      as [(PartyConfiguration.Implementation, PartyConfiguration.Implementation)]
    {
      let world = try World(seed: seed, one, other)
      try world.run(steps: 40)
      guard let index = firstDifference(wanted.lines, world.lines) else { continue }
      let before = wanted.lines[max(0, index - 40)..<index].joined(separator: "\n")
      Issue.record(
        """
        seed \(seed), \(one) and \(other), line \(index):
        \(before)
        ZSSP:      \(index < wanted.lines.count ? wanted.lines[index] : "nothing")
        this pair: \(index < world.lines.count ? world.lines[index] : "nothing")
        """)
      return
    }
  }

  private func firstDifference(_ one: [String], _ other: [String]) -> Int? {
    zip(one, other).enumerated().first { $0.element.0 != $0.element.1 }?.offset
      ?? (one.count == other.count ? nil : min(one.count, other.count))
  }

  /// Schedules in which nothing happens could not tell the two apart.
  @Test(.long) func schedulesReachEverything() throws {
    var lines: [String] = []
    for seed in Self.seeds.prefix(24) {
      let world = try World(seed: seed, .zssp, .reference)
      try world.run(steps: 40)
      lines += world.lines
    }
    for word in [
      "established Alice", "established Bob", "confirmed", "rekeyed", "restarted", "ended", "moved", "got a message",
      "A3 chain", "R1 chain", "R2 chain", "restarts", "fails", "downgraded",
      "answered", "ended closedByPeer", "ended peerSilent",
    ] {
      #expect(lines.contains { $0.contains(word) }, "no schedule has come to: \(word)")
    }
  }
}
