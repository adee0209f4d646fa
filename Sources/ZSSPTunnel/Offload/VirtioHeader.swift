// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The header that Linux puts in front of packets, and expects there (`struct virtio_net_hdr`): 10
/// bytes in the processor's byte order.
struct VirtioHeader: Equatable {
  static let size = 10

  /// The kind of segmentation of a super-packet.
  enum Segmentation: UInt8 {
    case none = 0
    case tcp4 = 1
    case tcp6 = 4
    case udp = 5

    var isTCP: Bool { self == .tcp4 || self == .tcp6 }
  }

  private static let needsChecksum: UInt8 = 1
  private static let hasCongestionMark: UInt8 = 0x80

  /// True if the checksum field has the sum of the pseudo-header only, and the bytes from
  /// ``checksumStart`` on must be added.
  var isPartial = false
  var segmentation = Segmentation.none
  /// True if only the first segment may have TCP's flag CWR.
  var marksCongestion = false
  var headerSize = 0
  /// The number of payload bytes in each segment but the last.
  var segmentSize = 0
  var checksumStart = 0
  /// The offset of the checksum field from ``checksumStart``.
  var checksumOffset = 0

  init() {}

  /// Parses a header; nil if its kind of segmentation is unknown.
  init?(_ bytes: RawSpan) {
    guard bytes.byteCount >= Self.size else { return nil }
    func load16(_ offset: Int) -> Int { Int(UInt16(bigEndian: bytes.load(UInt16.self, at: offset))) }
    let type = bytes[byte: 1]
    guard let segmentation = Segmentation(rawValue: type & ~Self.hasCongestionMark) else { return nil }
    isPartial = bytes[byte: 0] & Self.needsChecksum != 0
    self.segmentation = segmentation
    marksCongestion = type & Self.hasCongestionMark != 0
    headerSize = load16(2)
    segmentSize = load16(4)
    checksumStart = load16(6)
    checksumOffset = load16(8)
  }

  /// Writes the header to the start of the bytes.
  func write(to bytes: inout MutableRawSpan) {
    bytes.storeBytes(of: isPartial ? Self.needsChecksum : 0, toByteOffset: 0, as: UInt8.self)
    let mark = marksCongestion ? Self.hasCongestionMark : 0
    bytes.storeBytes(of: segmentation.rawValue | mark, toByteOffset: 1, as: UInt8.self)
    func store(_ value: Int, at offset: Int, in bytes: inout MutableRawSpan) {
      bytes.storeBytes(of: UInt16(truncatingIfNeeded: value), toByteOffset: offset, as: UInt16.self)
    }
    store(headerSize, at: 2, in: &bytes)
    store(segmentSize, at: 4, in: &bytes)
    store(checksumStart, at: 6, in: &bytes)
    store(checksumOffset, at: 8, in: &bytes)
  }
}
