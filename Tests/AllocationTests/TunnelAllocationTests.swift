// SPDX-License-Identifier: Apache-2.0
import CAllocationCounter
import Testing
import ZSSP

@testable import ZSSPTunnel

/// What the tunnel allocates for packets on their way between the device and a session.
@Suite(
  "Allocations of the tunnel", .enabled(if: allocation_counter_works(), "allocations cannot be counted in this build"))
struct TunnelAllocationTests {
  /// A super-packet of TCP over IPv4, whose checksum is still to be completed.
  private func superPacket() -> (header: VirtioHeader, bytes: [UInt8]) {
    let size = 40 + 40 * 1000
    var bytes = [UInt8](repeating: 7, count: size)
    let headers: [UInt8] = [
      0x45, 0, UInt8(size >> 8), UInt8(size & 255), 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]
    bytes.replaceSubrange(0..<20, with: headers)
    bytes.replaceSubrange(20..<40, with: [0, 9, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0])
    var header = VirtioHeader()
    (header.isPartial, header.segmentation, header.headerSize) = (true, .tcp4, 40)
    (header.segmentSize, header.checksumStart, header.checksumOffset) = (1000, 20, 16)
    return (header, bytes)
  }

  @Test("to cut a super-packet and to join it again costs no allocation")
  func cutAndJoin() {
    let (header, original) = superPacket()
    var bytes = original
    var (splitter, coalescer) = (SegmentSplitter(), Coalescer(.init(tcp: true, udp: true)))
    var (segments, writes, count) = (0, 0, 0 as UInt64)
    for round in 0..<20 {
      // What was cut has other headers in it.
      for index in original.indices { bytes[index] = original[index] }
      let before = allocation_counter_value()
      var elements = bytes.mutableSpan
      var packet = elements.mutableBytes
      _ = splitter.split(&packet, header) { segment in
        segments += 1
        coalescer.add(segment) { _ in writes += 1 }
      }
      coalescer.flush { _ in writes += 1 }
      // Storage is made once.
      if round >= 3 { count += allocation_counter_value() - before }
    }
    #expect(segments == 20 * 40 && writes == 20)
    #expect(count == 0)
  }
}
