// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("Sizes of fragments (section 5)", .tags(.fast))
struct FragmentPlanTests {
  // [FRAG-5] [FRAG-6]
  @Test("recorded sizes", arguments: try vectors("unit")["fragmentation"]["cases"].array)
  func recorded(_ vector: JSON) throws {
    let wanted = try vector["fragment_payload_sizes"].array.map { try $0.int }
    let size = try vector["packet_len"].int
    let plan = FragmentPlan(size: size, mtu: try vector["mtu"].int)
    #expect(plan.count == wanted.count)
    let ranges = (0..<plan.count).map(plan.range)
    #expect(ranges.map(\.count) == wanted)
    check(ranges, cover: size)
    // The receiver knows the number of fragments, not the MTU.
    let received = FragmentPlan(size: size, count: plan.count)
    #expect((0..<plan.count).map(received.range) == ranges)
  }

  // [FRAG-5] [FRAG-6]
  @Test("sizes from one byte to the largest packet", arguments: [128, 129, 576, 1400])
  func sweep(_ mtu: Int) {
    let room = mtu - 16
    for size in stride(from: 1, through: 48 * room, by: mtu < 200 ? 5 : 97) {
      let plan = FragmentPlan(size: size, mtu: mtu)
      let ranges = (0..<plan.count).map(plan.range)
      check(ranges, cover: size)
      let sizes = ranges.map(\.count)
      // As few as the MTU allows, the larger ones first, by one byte at most.
      let isPlanned =
        plan.count == (size + room - 1) / room && sizes[0] <= room && sizes == sizes.sorted(by: >)
        && sizes[0] - sizes[plan.count - 1] <= 1
      // The tag lies whole in the last of several.
      if plan.count > 1, sizes[plan.count - 1] < PacketSize.tag { Issue.record("\(size) bytes at \(mtu): \(sizes)") }
      if !isPlanned { Issue.record("\(size) bytes at \(mtu): \(sizes)") }
    }
  }

  // [FRAG-8]
  @Test(
    "the largest message fills 48 fragments",
    arguments: [(128, 48 * 112 - 16), (1400, 48 * 1384 - 16), (9000, 48 * 8984 - 16)])
  func largest(_ mtu: Int, _ size: Int) {
    #expect(FragmentPlan.largestMessage(mtu: mtu) == size)
    #expect(FragmentPlan(size: size + 16, mtu: mtu).count == 48)
    #expect(FragmentPlan(size: size + 17, mtu: mtu).count == 49)
    var settings = Settings()
    settings.mtu = mtu
    #expect(settings.largestMessage == size)
  }

  /// The ranges lie one behind the other, without gaps.
  private func check(_ ranges: [Range<Int>], cover size: Int) {
    var end = 0
    for range in ranges {
      if range.lowerBound != end { Issue.record("\(range) does not begin at \(end)") }
      end = range.upperBound
    }
    if end != size { Issue.record("\(end) bytes of \(size)") }
  }
}
