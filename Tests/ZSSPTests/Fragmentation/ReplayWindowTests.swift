// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

@Suite("The replay window (section 4)", .tags(.fast))
struct ReplayWindowTests {
  /// A counter that arrives, and whether it should be taken.
  struct Arrival: Sendable {
    let counter: UInt64
    let isGood: Bool

    static func good(_ counter: UInt64) -> Arrival { Arrival(counter: counter, isGood: true) }
    static func bad(_ counter: UInt64) -> Arrival { Arrival(counter: counter, isGood: false) }
    static func good(_ counters: some Sequence<UInt64>) -> [Arrival] { counters.map { good($0) } }
    static func bad(_ counters: some Sequence<UInt64>) -> [Arrival] { counters.map { bad($0) } }
  }

  struct Table: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let arrivals: [Arrival]

    init(_ name: String, arrivals: [Arrival]...) {
      testDescription = name
      self.arrivals = arrivals.flatMap(\.self)
    }
  }

  private static let span: UInt64 = 8192
  private static let step: UInt64 = 1 << 24

  static let tables: [Table] = [
    Table(
      "1: in order, each once", arrivals: Arrival.good(0..<200), Arrival.bad(0..<200),
      [.good(200), .bad(200), .bad(199)]),
    Table("2: the first counter need not be 0", arrivals: [.good(5), .good(0), .bad(5), .bad(0), .good(4), .good(1)]),
    Table("3: backwards through the window", arrivals: Arrival.good((0..<8192).reversed()), Arrival.bad(0..<8192)),
    Table(
      "4: the oldest in the window", arrivals: [.good(span - 1), .good(0), .bad(0), .good(span), .bad(0), .good(1)]),
    Table(
      "5: one older than the window", arrivals: [.good(span), .bad(0), .good(1), .good(span + 1), .bad(1), .good(2)]),
    Table("6: 8191 behind", arrivals: [.good(20_000), .good(20_000 - 8191), .bad(20_000 - 8191)]),
    Table("7: 8192 behind", arrivals: [.good(20_000), .bad(20_000 - 8192), .bad(20_000 - 8193), .bad(0)]),
    Table("8: a jump of 8191", arrivals: [.good(100), .good(100 + 8191), .bad(100), .bad(99), .good(101), .bad(101)]),
    Table(
      "9: a jump of 8192", arrivals: [.good(100), .good(100 + 8192), .bad(100), .good(101), .good(102), .bad(102)]),
    Table("10: a jump of 8193", arrivals: [.good(100), .good(100 + 8193), .bad(101), .good(102), .bad(102)]),
    Table(
      "11: a jump over the whole window forgets what was in it", arrivals: Arrival.good(0..<8192), [.good(30_000)],
      Arrival.good((30_000 - 8191)..<30_000), Arrival.bad((30_000 - 8191)...30_000), [.bad(30_000 - 8192)]),
    Table(
      "12: the bitmap wraps", arrivals: Arrival.good(0..<8192), Arrival.good(8192..<20_000), Arrival.bad(0..<20_000),
      [.good(20_000), .bad(20_000 - 8191)]),
    Table(
      "13: wraps with gaps", arrivals: Arrival.good(stride(from: 0, to: 24_576, by: 3)),
      Arrival.bad(stride(from: 24_573 - 8190, to: 24_576, by: 3)),
      Arrival.good(stride(from: 24_573 - 8189, to: 24_573, by: 3)),
      Arrival.bad(stride(from: 24_573 - 8189, to: 24_573, by: 3))),
    Table("14: 2^24 - 1 ahead of the newest", arrivals: [.good(0), .good(step - 1), .bad(0), .bad(step - 1)]),
    Table("15: 2^24 ahead of the newest", arrivals: [.good(0), .good(step), .bad(0), .bad(step), .good(step - 1)]),
    Table("16: 2^24 + 1 ahead of the newest", arrivals: [.good(0), .bad(step + 1), .good(1), .good(step + 1)]),
    Table(
      "17: what was too far ahead left no trace",
      arrivals: [.good(7), .bad(1 << 40), .good(8), .bad(1 << 40), .good(6)]),
    Table("18: nothing received yet, 2^24 - 1", arrivals: [.good(step - 1), .good(2 * step - 1), .bad(3 * step)]),
    Table("19: nothing received yet, 2^24", arrivals: [.bad(step), .good(0), .good(step)]),
    Table(
      "20: many jumps of 2^24", arrivals: Arrival.good((0..<64).map { $0 * step }),
      Arrival.bad((0..<64).map { $0 * step })),
    Table(
      "21: the largest counter is far ahead of everything",
      arrivals: [.bad(.max), .good(0), .bad(.max), .bad(.max - 1)]),
    Table(
      "22: around the ends of words", arrivals: Arrival.good([63, 64, 127, 128, 62, 65, 126, 129]),
      Arrival.bad([62, 63, 64, 65, 126, 127, 128, 129]), Arrival.good([0, 61, 66, 125, 130])),
    Table(
      "23: a jump within a word keeps its other bits", arrivals: [.good(64), .good(70)], Arrival.good(65..<70),
      Arrival.bad(64...70), [.good(64 + span), .bad(64), .good(71), .bad(70)]),
  ]

  // [CTR-4] [CTR-5] [CTR-6]
  @Test("numbered tables", arguments: tables)
  func table(_ table: Table) {
    var window = ReplayWindow()
    for (number, arrival) in table.arrivals.enumerated() {
      // Asking changes nothing: the packet may be a forgery.
      let answers = [window.accepts(arrival.counter), window.accepts(arrival.counter), window.accept(arrival.counter)]
      if answers != [arrival.isGood, arrival.isGood, arrival.isGood] {
        Issue.record("arrival \(number), counter \(arrival.counter): \(answers)")
      }
    }
  }

  /// A window that remembers everything.
  private struct Model {
    var received: Set<UInt64> = []
    var newest: UInt64?

    func accepts(_ counter: UInt64) -> Bool {
      guard let newest else { return counter < 1 << 24 }
      return !received.contains(counter) && counter <= newest + 1 << 24 && counter + 8192 > newest
    }

    mutating func accept(_ counter: UInt64) {
      received.insert(counter)
      newest = max(newest ?? 0, counter)
    }
  }

  // [CTR-4] [CTR-5] [CTR-6]
  @Test("100,000 random steps agree with a set", arguments: [1, 2, 3] as [UInt64])
  func model(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var window = ReplayWindow()
    var model = Model()
    for step in 0..<100_000 {
      let newest = model.newest ?? 0
      let counter: UInt64 =
        switch random.next() % 1000 {
        case 0..<400: newest + 1 + random.next() % 8 / 7
        case 400..<800: newest - min(newest, random.next() % 200)
        case 800..<960: newest - min(newest, random.next() % 8400)
        case 960..<990: newest - min(newest, 8185 + random.next() % 15)
        case 990..<995: newest + random.next() % 20_000
        case 995..<998: newest + 8185 + random.next() % 15
        default: newest + (1 << 24) - 1 + random.next() % 4
        }
      let isGood = model.accepts(counter)
      guard window.accepts(counter) == isGood, window.accept(counter) == isGood else {
        Issue.record("step \(step), counter \(counter), newest \(newest), expected \(isGood)")
        return
      }
      if isGood { model.accept(counter) }
    }
    // Both answers were frequent, so that neither half of the window went untested.
    #expect(model.received.count > 20_000 && model.received.count < 90_000)
  }

  // [CTR-9]
  @Test("the bitmap takes no more than a kibibyte")
  func size() {
    #expect(MemoryLayout<ReplayWindow>.size <= 1024 + MemoryLayout<UInt64>.size)
    #expect(ReplayWindow.span == Self.span && ReplayWindow.largestStep == Self.step)
    // Section 4: at least 128 counters.
    #expect(ReplayWindow.span >= 128)
  }
}
