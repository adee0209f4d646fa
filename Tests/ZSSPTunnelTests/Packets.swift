// SPDX-License-Identifier: Apache-2.0
import ZSSP

@testable import ZSSPTunnel

/// Makes packets for tests, byte by byte and slowly.
struct PacketMaker {
  var isV6 = false
  var isTCP = true
  var sourcePort: UInt16 = 1000
  var sequence: UInt32 = 7000
  var acknowledgement: UInt32 = 99
  var flags: UInt8 = 0x10
  var window: UInt16 = 500
  var options: [UInt8] = [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]
  var identification: UInt16 = 42
  var hopLimit: UInt8 = 64
  /// True if a packet of IPv4 may be fragmented.
  var mayFragment = false

  var start: Int { isV6 ? 40 : 20 }
  var headerSize: Int { start + (isTCP ? 20 + options.count : 8) }

  /// A complete packet.
  func packet(_ payload: [UInt8]) -> [UInt8] {
    var bytes = network(payload.count) + transport(payload.count) + payload
    let checksum = Self.checksum(pseudo(bytes.count - start) + bytes[start...])
    let place = start + (isTCP ? 16 : 6)
    bytes[place] = UInt8(checksum >> 8)
    bytes[place + 1] = UInt8(checksum & 255)
    return bytes
  }

  /// Returns the kernel's form of many packets at once: its checksum is that of the pseudo-header.
  func superPacket(_ payload: [UInt8], segmentSize: Int) -> (header: VirtioHeader, bytes: [UInt8]) {
    var bytes = network(payload.count) + transport(payload.count) + payload
    let sum = ~Self.checksum(pseudo(bytes.count - start))
    let offset = isTCP ? 16 : 6
    bytes[start + offset] = UInt8(sum >> 8)
    bytes[start + offset + 1] = UInt8(sum & 255)
    var header = VirtioHeader()
    header.isPartial = true
    header.segmentation = isTCP ? (isV6 ? .tcp6 : .tcp4) : .udp
    header.headerSize = headerSize
    header.segmentSize = segmentSize
    header.checksumStart = start
    header.checksumOffset = offset
    return (header, bytes)
  }

  private func network(_ payload: Int) -> [UInt8] {
    let length = headerSize - start + payload
    let transport: UInt8 = isTCP ? 6 : 17
    if isV6 {
      return [0x60, 0, 0, 0, UInt8(length >> 8), UInt8(length & 255), transport, hopLimit] + address(1) + address(2)
    }
    var header: [UInt8] = [
      0x45, 0, UInt8((length + 20) >> 8), UInt8((length + 20) & 255), UInt8(identification >> 8),
      UInt8(identification & 255), mayFragment ? 0 : 0x40, 0, hopLimit, transport, 0, 0,
    ]
    header += address(1) + address(2)
    let checksum = Self.checksum(header)
    header[10] = UInt8(checksum >> 8)
    header[11] = UInt8(checksum & 255)
    return header
  }

  private func address(_ last: UInt8) -> [UInt8] {
    isV6 ? [0xFD] + [UInt8](repeating: 0, count: 14) + [last] : [10, 0, 0, last]
  }

  private func transport(_ payload: Int) -> [UInt8] {
    let ports = [UInt8(sourcePort >> 8), UInt8(sourcePort & 255), 0, 80]
    guard isTCP else { return ports + [UInt8((8 + payload) >> 8), UInt8((8 + payload) & 255), 0, 0] }
    let size = UInt8(20 + options.count) / 4
    return ports + bigEndian(sequence) + bigEndian(acknowledgement)
      + [size << 4, flags, UInt8(window >> 8), UInt8(window & 255), 0, 0, 0, 0] + options
  }

  private func bigEndian(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
  }

  private func pseudo(_ length: Int) -> [UInt8] {
    address(1) + address(2) + [0, isTCP ? 6 : 17, UInt8(length >> 8), UInt8(length & 255)]
  }

  /// RFC 1071, word by word.
  static func checksum(_ bytes: some Sequence<UInt8>) -> UInt16 {
    var sum = 0 as UInt32
    for (index, byte) in bytes.enumerated() { sum += index.isMultiple(of: 2) ? UInt32(byte) << 8 : UInt32(byte) }
    while sum >> 16 != 0 { sum = (sum & 0xFFFF) + sum >> 16 }
    return ~UInt16(sum)
  }
}

/// Bytes that differ.
func payload(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

extension SegmentSplitter {
  /// The packets that a super-packet comes to; nil if it is refused.
  static func packets(_ bytes: [UInt8], header: VirtioHeader) -> [[UInt8]]? {
    var bytes = bytes
    var packets = [[UInt8]]()
    var splitter = SegmentSplitter()
    let isWhole = bytes.withMutableBytes { bytes in splitter.split(&bytes, header: header) { packets.append($0.array) }
    }
    return isWhole ? packets : nil
  }
}

// Macros of the testing library cannot pass spans.
extension Array<UInt8> {
  /// The class of a packet.
  var trafficClass: UInt8 { TrafficClass.of(rawBytes) }
  /// True if a packet opens a connection.
  var opensConnection: Bool { SegmentSizeClamp.opensConnection(rawBytes) }
  /// True if the checksums of a packet of a flow are right.
  var isIntact: Bool { FlowPacket(rawBytes)?.isIntact(rawBytes) == true }
  /// The tunnel's view of a message.
  var tunnelMessage: TunnelMessage { TunnelMessage(rawBytes) }
}
