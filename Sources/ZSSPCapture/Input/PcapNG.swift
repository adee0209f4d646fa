// SPDX-License-Identifier: Apache-2.0

/// The blocks of a pcapng capture.
struct PcapNG {
  /// The type of a section header, the same in both byte orders.
  static let sectionHeader: UInt32 = 0x0A0D_0D0A
  /// The largest number of interfaces of a section.
  static let largestInterfaceCount = 4096
  /// The largest block of an interface, of which options are read.
  private static let largestDescription = 1 << 16

  /// A frame, and its place behind the first unread byte of the buffer.
  struct Placed {
    let frame: Frame
    let start: Int
    let blockSize: UInt64
  }

  private enum Block: UInt32 {
    case interface = 1
    case packet = 2
    case simplePacket = 3
    case enhancedPacket = 6
  }

  private struct Interface {
    var link: Int
    var snapLength: Int
    var clock = CaptureClock()
  }

  private var interfaces: [Interface] = []

  /// Reads blocks up to the next that has a frame.
  ///
  /// - Returns: nil at the end.
  mutating func next(_ buffer: inout CaptureBuffer) throws(CaptureError) -> Placed? {
    while true {
      guard try buffer.require(12) else {
        guard buffer.available == 0 else { throw .truncated(offset: buffer.offset) }
        return nil
      }
      let type = buffer.integer(UInt32.self, at: 0)
      if type == Self.sectionHeader { try beginSection(&buffer) }
      let size = UInt64(buffer.integer(UInt32.self, at: 4))
      guard size >= 12, size.isMultiple(of: 4) else { throw .badLength(size, offset: buffer.offset) }
      if let placed = try read(Block(rawValue: type), size: size, from: &buffer) { return placed }
      let start = buffer.offset
      guard try buffer.skip(size) else { throw .truncated(offset: start) }
    }
  }

  private mutating func beginSection(_ buffer: inout CaptureBuffer) throws(CaptureError) {
    buffer.isBigEndian = true
    switch buffer.integer(UInt32.self, at: 8) {
    case 0x1A2B_3C4D: break
    case 0x4D3C_2B1A: buffer.isBigEndian = false
    default: throw .badBlock("a section without a byte order", offset: buffer.offset)
    }
    guard buffer.integer(UInt32.self, at: 4) >= 28 else {
      throw .badLength(UInt64(buffer.integer(UInt32.self, at: 4)), offset: buffer.offset)
    }
    interfaces.removeAll(keepingCapacity: true)
  }

  private mutating func read(
    _ block: Block?, size: UInt64, from buffer: inout CaptureBuffer
  ) throws(CaptureError) -> Placed? {
    switch block {
    case nil: return nil
    case .interface:
      try addInterface(size: size, &buffer)
      return nil
    case .enhancedPacket, .packet:
      guard size >= 32 else { throw .badLength(size, offset: buffer.offset) }
      guard try buffer.require(28) else { throw .truncated(offset: buffer.offset) }
      let index =
        block == .packet ? Int(buffer.integer(UInt16.self, at: 8)) : Int(buffer.integer(UInt32.self, at: 8))
      let interface = try interface(index, in: buffer)
      let ticks = UInt64(buffer.integer(UInt32.self, at: 12)) << 32 | UInt64(buffer.integer(UInt32.self, at: 16))
      return try place(
        captured: UInt64(buffer.integer(UInt32.self, at: 20)), original: Int(buffer.integer(UInt32.self, at: 24)),
        start: 28, size: size, time: interface.clock.nanoseconds(ticks), link: interface.link, &buffer)
    case .simplePacket:
      guard size >= 16 else { throw .badLength(size, offset: buffer.offset) }
      guard try buffer.require(12) else { throw .truncated(offset: buffer.offset) }
      let interface = try interface(0, in: buffer)
      let original = Int(buffer.integer(UInt32.self, at: 8))
      let limit = interface.snapLength == 0 ? Int.max : interface.snapLength
      return try place(
        captured: UInt64(min(original, limit)), original: original, start: 12, size: size, time: 0,
        link: interface.link, &buffer)
    }
  }

  private func interface(_ index: Int, in buffer: borrowing CaptureBuffer) throws(CaptureError) -> Interface {
    guard index < interfaces.count else {
      throw .badBlock("interface \(index) was not described", offset: buffer.offset)
    }
    return interfaces[index]
  }

  private func place(
    captured: UInt64, original: Int, start: Int, size: UInt64, time: Int64, link: Int, _ buffer: inout CaptureBuffer
  ) throws(CaptureError) -> Placed {
    // The frame lies before the second length, which ends the block.
    guard captured <= UInt64(CaptureReader.largestFrame), UInt64(start) + captured + 4 <= size else {
      throw .badLength(captured, offset: buffer.offset)
    }
    let count = Int(captured)
    guard try buffer.require(start + count) else { throw .truncated(offset: buffer.offset) }
    return Placed(
      frame: Frame(time: time, captured: count, original: max(count, original), link: link), start: start,
      blockSize: size)
  }

  private mutating func addInterface(size: UInt64, _ buffer: inout CaptureBuffer) throws(CaptureError) {
    guard size >= 20, size <= UInt64(Self.largestDescription) else { throw .badLength(size, offset: buffer.offset) }
    guard try buffer.require(Int(size)) else { throw .truncated(offset: buffer.offset) }
    guard interfaces.count < Self.largestInterfaceCount else {
      throw .badBlock("more than \(Self.largestInterfaceCount) interfaces", offset: buffer.offset)
    }
    var interface = Interface(
      link: Int(buffer.integer(UInt16.self, at: 8)), snapLength: Int(buffer.integer(UInt32.self, at: 12)))
    var position = 16
    let end = Int(size) - 4
    while position + 4 <= end {
      let code = buffer.integer(UInt16.self, at: position)
      let length = Int(buffer.integer(UInt16.self, at: position + 2))
      position += 4
      guard code != 0, position + length <= end else { break }
      switch (code, length) {
      case (9, 1): interface.clock.resolution = buffer.integer(UInt8.self, at: position)
      case (14, 8): interface.clock.offset = Int64(bitPattern: buffer.integer(UInt64.self, at: position))
      default: break
      }
      position += (length + 3) & ~3
    }
    interfaces.append(interface)
  }
}

/// The meaning of an interface's times.
struct CaptureClock {
  /// The exponent of the length of a tick: of 10, or with the highest bit of 2. The default is
  /// microseconds.
  var resolution: UInt8 = 6
  /// Seconds to add.
  var offset: Int64 = 0

  /// Returns nanoseconds since 1970, the nearest possible ones for times beyond Int64.
  func nanoseconds(_ ticks: UInt64) -> Int64 {
    let exponent = Int(resolution & 0x7F)
    let seconds: UInt64
    let rest: UInt64
    if resolution & 0x80 != 0 {
      seconds = exponent < 64 ? ticks >> UInt64(exponent) : 0
      let fraction = exponent < 64 ? ticks & ((1 << UInt64(exponent)) - 1) : ticks
      // fraction × 10^9 / 2^exponent
      let product = fraction.multipliedFullWidth(by: 1_000_000_000)
      switch exponent {
      case 0: rest = 0
      case ..<64: rest = product.high << UInt64(64 - exponent) | product.low >> UInt64(exponent)
      default: rest = exponent < 128 ? product.high >> UInt64(exponent - 64) : 0
      }
    } else if exponent <= 19 {
      var unit: UInt64 = 1
      for _ in 0..<exponent { unit *= 10 }
      seconds = ticks / unit
      let fraction = ticks % unit
      rest = exponent <= 9 ? fraction * (1_000_000_000 / unit) : fraction / (unit / 1_000_000_000)
    } else {
      seconds = 0
      rest = 0
    }
    let whole = Int64(clamping: seconds).addingReportingOverflow(offset)
    let clamped = whole.overflow ? (offset < 0 ? Int64.min : .max) : whole.partialValue
    let scaled = clamped.multipliedReportingOverflow(by: 1_000_000_000)
    guard !scaled.overflow else { return clamped < 0 ? .min : .max }
    let sum = scaled.partialValue.addingReportingOverflow(Int64(clamping: rest))
    return sum.overflow ? .max : sum.partialValue
  }
}
