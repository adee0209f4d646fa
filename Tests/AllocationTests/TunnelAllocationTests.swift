// SPDX-License-Identifier: Apache-2.0
import CAllocationCounter
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// The tunnel's allocations for packets between the device and a session.
@Suite(
  "Allocations of the tunnel", .tags(.fast),
  .enabled(if: allocation_counter_works(), "allocations cannot be counted in this build"))
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
    header.isPartial = true
    header.segmentation = .tcp4
    header.headerSize = 40
    header.segmentSize = 1000
    header.checksumStart = 20
    header.checksumOffset = 16
    return (header, bytes)
  }

  /// Returns the allocations of `round` after its first runs, which make storage. The argument of
  /// `round` is the number of runs before.
  private func allocations(_ round: (Int) -> Void) -> UInt64 {
    for number in 0..<3 { round(number) }
    let before = allocation_counter_value()
    for number in 3..<20 { round(number) }
    return allocation_counter_value() - before
  }

  @Test("to cut a super-packet costs no allocation")
  func cut() {
    let (header, original) = superPacket()
    var bytes = original
    var splitter = SegmentSplitter()
    var segments = 0
    let count = allocations { _ in
      // What was cut has other headers in it.
      for index in original.indices { bytes[index] = original[index] }
      var elements = bytes.mutableSpan
      var packet = elements.mutableBytes
      _ = splitter.split(&packet, header: header) { _ in segments += 1 }
    }
    #expect(segments == 20 * 40)
    #expect(count == 0)
  }

  @Test("to join packets to a super-packet costs no allocation")
  func join() {
    let (header, original) = superPacket()
    var bytes = original
    var splitter = SegmentSplitter()
    var packets = [[UInt8]]()
    var writes = 0
    var elements = bytes.mutableSpan
    var packet = elements.mutableBytes
    _ = splitter.split(&packet, header: header) { packets.append($0.array) }
    var coalescer = Coalescer(.init(tcp: true, udp: true))
    let count = allocations { _ in
      for number in packets.indices {
        let packet = packets[number]
        coalescer.add(packet.rawBytes) { _ in writes += 1 }
      }
      coalescer.flush { _ in writes += 1 }
    }
    #expect(packets.count == 40 && writes == 20)
    #expect(count == 0)
  }
}
