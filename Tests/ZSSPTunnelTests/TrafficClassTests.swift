// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// The marks of the datagrams and of the packets in them, and of networks on the path.
@Suite(.tags(.fast))
struct TrafficClassTests {
  /// The names in order: not capable, ECT(1), ECT(0), congestion experienced.
  private static let names: [UInt8] = [0, 1, 2, 3]

  /// RFC 6040, figure 3: the normal mode copies, compatibility mode clears.
  @Test(arguments: names) func congestionOnTheWayOut(inner: UInt8) {
    for dscp in [0, 10, 46, 63] as [UInt8] {
      let all = dscp << 2 | inner
      #expect(TrafficClass.outer(of: all, .copy, copiesCongestion: true) == all)
      #expect(TrafficClass.outer(of: all, .copy, copiesCongestion: false) == dscp << 2)
      #expect(TrafficClass.outer(of: all, .fixed(0), copiesCongestion: true) == inner)
      #expect(TrafficClass.outer(of: all, .fixed(46), copiesCongestion: true) == 46 << 2 | inner)
    }
  }

  /// RFC 6040, figure 4: rows are packets, columns datagrams, in the order of the code points.
  @Test func congestionOnTheWayIn() {
    let same = TrafficClass.Outcome.unchanged
    let none = TrafficClass.Outcome.dropped
    let one = TrafficClass.Outcome.marked(1)
    let congested = TrafficClass.Outcome.marked(3)
    let expected: [[TrafficClass.Outcome]] = [
      [same, same, same, none],
      [same, same, same, congested],
      [same, one, same, congested],
      [same, same, same, same],
    ]
    for inner in Self.names {
      for outer in Self.names {
        #expect(
          TrafficClass.outcome(inner: 0xB8 | inner, outer: 0x28 | outer) == expected[Int(inner)][Int(outer)],
          "\(inner) in \(outer)")
      }
    }
  }

  @Test(arguments: [false, true], names) func marks(isV6: Bool, bits: UInt8) {
    var maker = PacketMaker()
    maker.isV6 = isV6
    var packet = maker.packet(payload(100))
    let before = packet
    packet.withMutableBytes { TrafficClass.mark(&$0, with: bits) }
    #expect(packet.trafficClass == bits)
    #expect(packet.isIntact)
    packet.withMutableBytes { TrafficClass.mark(&$0, with: 0) }
    #expect(packet == before)
  }

  @Test func readsBothFamilies() {
    #expect(([0x45, 0xB9] as [UInt8]).trafficClass == 0xB9)
    #expect(([0x6B, 0x9F] as [UInt8]).trafficClass == 0xB9)
  }
}
