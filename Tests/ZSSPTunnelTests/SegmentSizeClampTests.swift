// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// The segment sizes that the sides of a connection announce, and their limits.
@Suite(.tags(.fast))
struct SegmentSizeClampTests {
  /// A packet that opens a connection; the size lies at an even place, or at an odd one.
  private func opening(_ size: UInt16, isV6: Bool, isOdd: Bool, flags: UInt8 = 0x02) -> [UInt8] {
    var maker = PacketMaker()
    maker.isV6 = isV6
    maker.flags = flags
    let option = [2, 4, UInt8(size >> 8), UInt8(size & 255)]
    maker.options = isOdd ? [1] + option + [1, 1, 1] : option + [1, 3, 3, 7]
    return maker.packet([])
  }

  @Test(arguments: [false, true], [false, true]) func largerSizesAreLowered(isV6: Bool, isOdd: Bool) {
    for flags in [0x02, 0x12, 0xC2] as [UInt8] {
      var packet = opening(1460, isV6: isV6, isOdd: isOdd, flags: flags)
      #expect(packet.opensConnection)
      packet.withMutableBytes { SegmentSizeClamp.clamp(&$0, limit: 1340, isPartial: false) }
      #expect(packet == opening(isV6 ? 1280 : 1300, isV6: isV6, isOdd: isOdd, flags: flags))
      #expect(packet.isIntact)
    }
  }

  @Test func smallerSizesStay() {
    for size in [536, 1299, 1300] as [UInt16] {
      var packet = opening(size, isV6: false, isOdd: false)
      let before = packet
      packet.withMutableBytes { SegmentSizeClamp.clamp(&$0, limit: 1340, isPartial: false) }
      #expect(packet == before)
    }
  }

  /// The kernel completes the checksum of what it leaves to us, with the new size in it.
  @Test func aChecksumThatIsStillToBeCompleted() {
    var packet = opening(1460, isV6: false, isOdd: false)
    let checksum = Array(packet[36..<38])
    packet.withMutableBytes { SegmentSizeClamp.clamp(&$0, limit: 1340, isPartial: true) }
    #expect(Array(packet[36..<38]) == checksum && Array(packet[42..<44]) == [0x05, 0x14])
  }

  @Test func othersAreLeftAlone() {
    #expect(!opening(1460, isV6: false, isOdd: false, flags: 0x10).opensConnection)
    var maker = PacketMaker()
    maker.isTCP = false
    #expect(!maker.packet(payload(100)).opensConnection)
    // A later fragment has no header of TCP, whatever lies there.
    var later = opening(1460, isV6: false, isOdd: false)
    later[7] = 1
    #expect(!later.opensConnection)
  }

  /// Options that cannot be end them, and nothing is read or written behind the packet.
  @Test func brokenOptions() {
    for options: [UInt8] in [
      [], [0, 2, 4, 5], [2, 4, 5], [2, 3, 5, 180], [2], [8, 0, 2, 4, 5, 180, 1, 1], [8, 200, 2, 4, 5, 180, 1, 1],
      [1, 1, 1, 2],
    ] {
      var maker = PacketMaker()
      maker.flags = 0x02
      maker.options = options + [UInt8](repeating: 1, count: (4 - options.count % 4) % 4)
      var packet = maker.packet([])
      let before = packet
      packet.withMutableBytes { SegmentSizeClamp.clamp(&$0, limit: 600, isPartial: false) }
      #expect(packet == before || options == [2, 4, 5], "\(options)")
      // Cut short anywhere.
      for length in 20..<before.count {
        var short = Array(before[..<length])
        if SegmentSizeClamp.opensConnection(short.rawBytes) {
          short.withMutableBytes { SegmentSizeClamp.clamp(&$0, limit: 600, isPartial: false) }
        }
      }
    }
  }
}
