// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP
import ZSSPTestSupport

@testable import ZSSPCapture

@Suite(.tags(.fast)) struct ReaderTests {
  private static let frames: [(time: Int64, bytes: [UInt8])] = [
    (1_700_000_000_500_000_000, [1, 2, 3]), (1_700_000_001_250_000_000, []),
    (1_700_000_002_000_000_000, Array(0..<200)), (1_700_000_003_750_000_000, [9]),
  ]

  /// The frames of a capture, and the error at its end.
  private func read(
    _ capture: [UInt8], pieceSize: Int = .max
  ) -> (frames: [(frame: Frame, bytes: [UInt8])], error: CaptureError?) {
    var reader = CaptureReader(MemorySource(capture, pieceSize: pieceSize))
    var frames: [(Frame, [UInt8])] = []
    do {
      while let frame = try reader.next() { frames.append((frame, reader.bytes.array)) }
      return (frames, nil)
    } catch {
      return (frames, error)
    }
  }

  @Test("every layout has the same frames, however the capture arrives", arguments: CaptureLayout.allCases)
  func layouts(layout: CaptureLayout) {
    let capture = layout.capture(Self.frames)
    for pieceSize in [1, 7, 64, .max] {
      let found = read(capture, pieceSize: pieceSize)
      #expect(found.error == nil)
      #expect(found.frames.map(\.bytes) == Self.frames.map(\.bytes))
      #expect(found.frames.map(\.frame.time) == Self.frames.map(\.time))
      #expect(found.frames.allSatisfy { $0.frame.link == 1 && $0.frame.original == $0.bytes.count })
    }
  }

  @Test("a capture that is cut anywhere gives the frames before the cut", arguments: CaptureLayout.allCases)
  func cuts(layout: CaptureLayout) {
    let capture = layout.capture(Self.frames)
    for end in capture.indices {
      let found = read(Array(capture[..<end]))
      #expect(found.frames.map(\.bytes) == Self.frames.prefix(found.frames.count).map(\.bytes))
      // A cut between two records looks like an end.
      if let error = found.error { #expect(!error.description.isEmpty) }
    }
  }

  @Test("changed bytes cause an error or other frames, never a trap", arguments: CaptureLayout.allCases)
  func changes(layout: CaptureLayout) {
    let capture = layout.capture(Self.frames)
    for index in capture.indices {
      for value in [0, 1, 0x7F, 0x80, 0xFF] as [UInt8] {
        var changed = capture
        changed[index] = value
        let found = read(changed)
        #expect(
          found.frames.allSatisfy { $0.bytes.count == $0.frame.captured && $0.frame.captured <= $0.frame.original })
      }
    }
  }

  @Test("a record longer than a frame can be is refused without reading it")
  func longRecord() {
    var capture = CaptureLayout.pcapLittle.capture([(0, [1])])
    capture.replaceSubrange(32..<36, with: [0xFF, 0xFF, 0xFF, 0xFF])
    #expect(read(capture).error == .badLength(0xFFFF_FFFF, offset: 24))
  }

  @Test(
    "impossible lengths of blocks are refused",
    arguments: [
      (28, UInt32(0), CaptureError.badLength(0, offset: 28)), (28, 11, .badLength(11, offset: 28)),
      (28, 13, .badLength(13, offset: 28)), (28, 0xFFFF_FFFC, .badLength(0xFFFF_FFFC, offset: 28)),
      (4, 8, .badLength(8, offset: 0)),
    ])
  func lengths(block: Int, value: UInt32, error: CaptureError) {
    var capture = CaptureLayout.pcapngLittle.capture(Self.frames)
    let position = block == 4 ? 4 : block + 4
    capture.replaceSubrange(position..<position + 4, with: (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) })
    #expect(read(capture).error == error)
  }

  @Test("a block of an unknown kind that is longer than the buffer is skipped")
  func largeBlock() {
    let capture = CaptureLayout.pcapngLittle.capture(Self.frames)
    var large = ByteWriter(isBigEndian: false)
    let size = 3 << 20
    large.add(UInt32(0x0BAD))
    large.add(UInt32(size))
    large.add([UInt8](repeating: 0x55, count: size - 12))
    large.add(UInt32(size))
    // Behind the section and its interface
    let found = read(Array(capture[..<48]) + large.bytes + Array(capture[48...]), pieceSize: 100_000)
    #expect(found.error == nil)
    #expect(found.frames.count == Self.frames.count)
  }

  @Test("a packet of an interface that was not described ends the capture")
  func unknownInterface() {
    let capture = CaptureLayout.pcapngLittle.capture(Self.frames)
    let section = Array(capture[..<28])
    let found = read(section + Array(capture[64...]))
    #expect(found.frames.isEmpty)
    #expect(found.error == .badBlock("interface 0 was not described", offset: 28))
  }

  @Test("a section forgets the interfaces of the one before, and may have another byte order")
  func sections() {
    let found = read(
      CaptureLayout.pcapngLittle.capture(Self.frames) + CaptureLayout.pcapngBig.capture(Self.frames, link: 101))
    #expect(found.error == nil)
    #expect(found.frames.map(\.frame.link) == [1, 1, 1, 1, 101, 101, 101, 101])
  }

  @Test("interfaces without end are refused")
  func manyInterfaces() {
    let capture = CaptureLayout.pcapngLittle.capture([])
    let interface = Array(capture[28..<48])
    let many = Array(capture[..<28]) + (0...PcapNG.largestInterfaceCount).flatMap { _ in interface }
    #expect(read(many).error == .badBlock("more than 4096 interfaces", offset: 28 + 20 * 4096))
  }

  @Test("simple packets end at the snap length")
  func simplePackets() {
    var writer = ByteWriter(isBigEndian: false)
    let capture = CaptureLayout.pcapngLittle.capture([])
    writer.add(Array(capture[..<28]))
    writer.add(UInt32(1))
    writer.add(UInt32(20))
    writer.add(UInt16(101))
    writer.add(UInt16(0))
    writer.add(UInt32(4))
    writer.add(UInt32(20))
    writer.add(UInt32(3))
    writer.add(UInt32(20))
    writer.add(UInt32(1400))
    writer.add([1, 2, 3, 4])
    writer.add(UInt32(20))
    let found = read(writer.bytes)
    #expect(found.error == nil)
    #expect(found.frames.map(\.bytes) == [[1, 2, 3, 4]])
    #expect(found.frames.first?.frame.original == 1400)
  }

  @Test(
    "what is no capture is refused",
    arguments: [
      [], [1], [0x0A, 0x0D, 0x0D], Array("hello, world, this is text".utf8), [UInt8](repeating: 0, count: 64),
    ])
  func noCapture(bytes: [UInt8]) {
    #expect(read(bytes).error == .unknownFormat)
  }

  @Test(
    "times beyond what fits are the nearest that do",
    arguments: [
      (6 as UInt8, 0 as Int64, UInt64.max, Int64.max), (0, 0, .max, .max), (9, .max, 1, .max), (9, .min, 1, .min),
      (19, 0, .max, 1_844_674_407), (20, 0, .max, 0), (0x7F, 0, .max, 0), (0x80, 0, 5, 5_000_000_000),
      (0x80 | 63, 0, .max, 1_999_999_999), (0x80 | 64, 0, .max, 999_999_999), (0xFF, 0, .max, 0),
      (6, -1, 2_000_000, 1_000_000_000), (3, 0, 1500, 1_500_000_000),
    ])
  func clocks(resolution: UInt8, offset: Int64, ticks: UInt64, time: Int64) {
    #expect(CaptureClock(resolution: resolution, offset: offset).nanoseconds(ticks) == time)
  }
}
