// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

@Suite("Batches of datagrams", .tags(.fast))
struct DatagramBatchTests {
  private static let here = Address(ipv4: 0x7F00_0001, port: 1)
  private static let there = Address(ipv4: 0x7F00_0001, port: 2)

  /// Sizes of datagrams, `|` before those that go to another address than the one before, and the
  /// runs of them.
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let datagrams: [(size: Int, to: Address)]
    /// The count, the size of segments, and the bytes of each run.
    let runs: [[Int]]

    init(_ sizes: [[Int]], runs: [[Int]]) {
      testDescription = sizes.map { $0.map(String.init).joined(separator: " ") }.joined(separator: " | ")
      datagrams = sizes.enumerated().flatMap { index, sizes in
        sizes.map { ($0, index % 2 == 0 ? DatagramBatchTests.here : DatagramBatchTests.there) }
      }
      self.runs = runs
    }
  }

  static let cases = [
    Case([], runs: []),
    Case([[100]], runs: [[1, 100, 100]]),
    Case([[100, 100, 100]], runs: [[3, 100, 300]]),
    // A shorter one is the last of its run.
    Case([[100, 100, 60]], runs: [[3, 100, 260]]),
    Case([[100, 60, 100]], runs: [[2, 100, 160], [1, 100, 100]]),
    Case([[100, 60, 60]], runs: [[2, 100, 160], [1, 60, 60]]),
    Case([[100, 60, 40]], runs: [[2, 100, 160], [1, 40, 40]]),
    // A longer one begins a run.
    Case([[60, 100]], runs: [[1, 60, 60], [1, 100, 100]]),
    Case([[60, 60, 61]], runs: [[2, 60, 120], [1, 61, 61]]),
    // Another address begins a run, even for a size that would fit.
    Case([[100, 100], [100]], runs: [[2, 100, 200], [1, 100, 100]]),
    Case([[100], [100], [100]], runs: [[1, 100, 100], [1, 100, 100], [1, 100, 100]]),
    Case([[100, 60], [60]], runs: [[2, 100, 160], [1, 60, 60]]),
  ]

  // [DEC-86]
  @Test("runs end where the class or the own address changes") func paths() {
    var batch = DatagramBatch()
    for (address, trafficClass) in [
      (Self.here, 0), (Self.here, 0), (Self.here, 2), (Self.here, 2), (Self.here.reached(at: 1), 2), (Self.here, 2),
    ] {
      batch.append(size: 100, to: address, trafficClass: UInt8(trafficClass)) { $0.store(1 as UInt8, at: 0) }
    }
    #expect(batch.runs.map(\.count) == [2, 2, 1, 1])
    #expect(batch.runs.map(\.trafficClass) == [0, 2, 2, 2])
    #expect(batch.runs.map(\.address.localIndex) == [0, 0, 1, 0])
  }

  @Test("runs of one size to one address", arguments: cases)
  func runs(_ given: Case) {
    var batch = DatagramBatch()
    for (number, datagram) in given.datagrams.enumerated() {
      batch.append(size: datagram.size, to: datagram.to) { bytes in
        for index in 0..<datagram.size { bytes.store(UInt8(truncatingIfNeeded: number), at: index) }
      }
    }
    #expect(batch.runs.map { [$0.count, $0.segmentSize, $0.range.count] } == given.runs)
    #expect(batch.count == given.datagrams.count)
    #expect(batch.isEmpty == given.datagrams.isEmpty)
    #expect(batch.byteCount == given.datagrams.reduce(0) { $0 + $1.size })
    #expect(
      batch.datagrams
        == given.datagrams.enumerated().map { [UInt8](repeating: UInt8($0.offset), count: $0.element.size) })
    // Runs lie one behind the other and cover the bytes.
    var end = 0
    for run in batch.runs {
      #expect(run.range.lowerBound == end)
      end = run.range.upperBound
    }
    #expect(end == batch.byteCount)
    let addresses = batch.runs.flatMap { Array(repeating: $0.address, count: $0.count) }
    #expect(addresses == given.datagrams.map(\.to))
  }

  @Test("the fragments of a message are two runs at most", arguments: [128, 1400, 9000])
  func fragments(_ mtu: Int) {
    var batch = DatagramBatch()
    for size in stride(from: 16, through: 48 * (mtu - 16), by: mtu * 3 / 8) {
      let plan = FragmentPlan(size: size, mtu: mtu)
      batch.removeAll()
      for number in 0..<plan.count {
        batch.append(size: 16 + plan.range(number).count, to: Self.here) { $0.store(UInt8(1), at: 0) }
      }
      let segments = batch.runs.reduce(0) { $0 + $1.count }
      if batch.runs.count > 2 || segments != plan.count { Issue.record("\(size) bytes: \(batch.runs)") }
    }
  }

  @Test("an emptied batch begins anew, with room for what is larger")
  func reuse() {
    var batch = DatagramBatch()
    var random = SplitMix64(seed: 11)
    for round in 0..<5 {
      let datagrams = (0..<(20 * (round + 1))).map { _ in random.bytes(1 + Int(random.next() % 3000)) }
      for datagram in datagrams {
        batch.append(size: datagram.count, to: Self.here) { $0.write(datagram.rawBytes, at: 0) }
      }
      #expect(batch.datagrams == datagrams)
      batch.removeAll()
      #expect(batch.isEmpty && batch.count == 0 && batch.byteCount == 0 && batch.runs.isEmpty)
      #expect(batch.datagrams == [])
    }
  }
}
