// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A frame of a capture. Its bytes are in ``CaptureReader/bytes`` until the next frame is read.
package struct Frame: Equatable, Sendable {
  /// The time in nanoseconds since 1970, UTC.
  package var time: Int64
  /// The number of bytes in the capture.
  package var captured: Int
  /// The number of bytes that the frame had.
  package var original: Int
  /// The kind of the frame's header, as a number of the registry of link types.
  package var link: Int
}

/// Reads pcap and pcapng, in both byte orders and with any resolution of time, front to back.
///
/// No length of the capture is believed: a frame has at most ``largestFrame`` bytes, options and
/// blocks of other kinds are skipped without being collected, and the number of interfaces is
/// bounded.
package struct CaptureReader: ~Copyable {
  /// The largest number of bytes of a frame in a capture. The tools that write captures stop at
  /// 262,144.
  package static let largestFrame = 1 << 19

  private var buffer: CaptureBuffer
  private var format = Format.unknown
  /// The place of the last frame in the buffer, and the bytes to consume before the next one.
  private var frameStart = 0
  private var frameCount = 0
  private var pending: UInt64 = 0

  private enum Format {
    case unknown
    case pcap(link: Int, unitsPerSecond: Int64)
    case pcapng(PcapNG)
  }

  /// Creates a reader.
  package init(_ source: any CaptureSource) { buffer = CaptureBuffer(source) }

  /// The bytes of the last frame.
  package var bytes: RawSpan {
    @_lifetime(borrow self) get { buffer.bytes(frameStart, count: frameCount) }
  }

  /// Reads the next frame.
  ///
  /// - Returns: nil at the end of the capture.
  /// - Throws: ``CaptureError``. Reading must end then.
  package mutating func next() throws(CaptureError) -> Frame? {
    frameStart = 0
    frameCount = 0
    if pending > 0 {
      let rest = pending
      pending = 0
      let start = buffer.offset
      guard try buffer.skip(rest) else { throw .truncated(offset: start) }
    }
    if case .unknown = format { try detect() }
    switch format {
    case .unknown: return nil
    case .pcap(let link, let unitsPerSecond): return try nextRecord(link: link, unitsPerSecond: unitsPerSecond)
    case .pcapng(var sections):
      let placed = try sections.next(&buffer)
      format = .pcapng(sections)
      guard let placed else { return nil }
      frameStart = placed.start
      frameCount = placed.frame.captured
      pending = placed.blockSize
      return placed.frame
    }
  }

  private mutating func detect() throws(CaptureError) {
    guard try buffer.require(4) else { throw .unknownFormat }
    buffer.isBigEndian = true
    let magic = buffer.integer(UInt32.self, at: 0)
    if magic == PcapNG.sectionHeader {
      format = .pcapng(PcapNG())
      return
    }
    let unitsPerSecond: Int64
    switch magic {
    case 0xA1B2_C3D4: unitsPerSecond = 1_000_000
    case 0xA1B2_3C4D: unitsPerSecond = 1_000_000_000
    default:
      buffer.isBigEndian = false
      switch buffer.integer(UInt32.self, at: 0) {
      case 0xA1B2_C3D4: unitsPerSecond = 1_000_000
      case 0xA1B2_3C4D: unitsPerSecond = 1_000_000_000
      default: throw .unknownFormat
      }
    }
    guard try buffer.require(24) else { throw .truncated(offset: 0) }
    // The upper bits tell the size of a checksum behind each frame, which IP's own lengths cut off.
    let link = Int(buffer.integer(UInt32.self, at: 20) & 0xFFFF)
    buffer.consume(24)
    format = .pcap(link: link, unitsPerSecond: unitsPerSecond)
  }

  private mutating func nextRecord(link: Int, unitsPerSecond: Int64) throws(CaptureError) -> Frame? {
    guard try buffer.require(16) else {
      guard buffer.available == 0 else { throw .truncated(offset: buffer.offset) }
      return nil
    }
    let captured = buffer.integer(UInt32.self, at: 8)
    guard captured <= Self.largestFrame else { throw .badLength(UInt64(captured), offset: buffer.offset) }
    let size = Int(captured)
    guard try buffer.require(16 + size) else { throw .truncated(offset: buffer.offset) }
    let seconds = Int64(buffer.integer(UInt32.self, at: 0))
    let units = Int64(buffer.integer(UInt32.self, at: 4))
    frameStart = 16
    frameCount = size
    pending = UInt64(16 + size)
    return Frame(
      // At most 2^32 seconds and 2^32 units: no overflow.
      time: seconds * 1_000_000_000 + units * (1_000_000_000 / unitsPerSecond), captured: size,
      original: max(size, Int(buffer.integer(UInt32.self, at: 12))), link: link)
  }
}
