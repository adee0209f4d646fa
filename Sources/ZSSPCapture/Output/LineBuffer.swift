// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The receiver of output.
package protocol OutputSink: AnyObject {
  /// Writes all bytes.
  ///
  /// - Throws: ``CaptureError/unwritable(_:)`` with the system's reason.
  func write(_ bytes: UnsafeRawBufferPointer) throws(CaptureError)
}

/// Output in memory.
package final class MemorySink: OutputSink {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package func write(_ bytes: UnsafeRawBufferPointer) { self.bytes.append(contentsOf: bytes) }

  /// The output as text.
  package var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// Collects output, so that the system is asked once for many lines and a line allocates nothing.
struct LineBuffer: ~Copyable {
  private static let size = 1 << 16

  private let sink: any OutputSink
  private let memory: UnsafeMutableRawBufferPointer
  private var count = 0
  private var failure: CaptureError?

  init(_ sink: any OutputSink) {
    self.sink = sink
    memory = .allocate(byteCount: Self.size, alignment: 16)
  }

  deinit { memory.deallocate() }

  /// Writes what was collected.
  ///
  /// - Throws: the error of this or of an earlier write.
  mutating func flush() throws(CaptureError) {
    write()
    if let failure { throw failure }
  }

  /// Ends a line. Errors of writes are reported here.
  @inline(__always)
  mutating func endLine() throws(CaptureError) {
    append(UInt8(ascii: "\n"))
    if let failure { throw failure }
  }

  /// Throws the error of an earlier write.
  func check() throws(CaptureError) {
    if let failure { throw failure }
  }

  private mutating func write() {
    guard count > 0, failure == nil else { return }
    do {
      try sink.write(UnsafeRawBufferPointer(rebasing: memory[..<count]))
    } catch {
      failure = error
    }
    count = 0
  }

  @inline(__always)
  mutating func append(_ byte: UInt8) {
    if count == Self.size { write() }
    if count == Self.size { count = 0 }
    memory[count] = byte
    count += 1
  }

  @inline(__always)
  private mutating func append(from bytes: UnsafeRawBufferPointer) {
    if bytes.count <= Self.size - count {
      UnsafeMutableRawBufferPointer(rebasing: memory[count..<count + bytes.count]).copyMemory(from: bytes)
      count += bytes.count
    } else {
      for byte in bytes { append(byte) }
    }
  }

  @inline(__always)
  mutating func append(_ text: StaticString) {
    text.withUTF8Buffer { append(from: UnsafeRawBufferPointer($0)) }
  }

  @inline(__always)
  mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append(from: $0) } }

  /// Appends a text that is not known at compile time. Literals are static strings, which are
  /// copied at once.
  mutating func append(text: String) {
    var text = text
    text.withUTF8 { append(from: UnsafeRawBufferPointer($0)) }
  }

  @inline(__always)
  mutating func append(_ bytes: RawSpan) { bytes.withUnsafeBytes { append(from: $0) } }

  /// Appends decimal digits, at least `width` of them.
  @inline(__always)
  mutating func append(_ number: UInt64, width: Int = 1) {
    var digits = InlineArray<20, UInt8>(repeating: UInt8(ascii: "0"))
    var rest = number
    var first = 20
    repeat {
      first -= 1
      digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    } while rest > 0
    first = min(first, 20 - width)
    for index in first..<20 { append(digits[index]) }
  }

  @inline(__always)
  mutating func append(_ number: Int) {
    if number < 0 { append(UInt8(ascii: "-")) }
    append(UInt64(number.magnitude))
  }

  mutating func append(hexadecimal bytes: [UInt8]) {
    for byte in bytes {
      append(Self.digit(byte >> 4))
      append(Self.digit(byte & 15))
    }
  }

  /// Appends eight digits.
  @inline(__always)
  mutating func append(_ keyID: KeyID) {
    for shift in stride(from: 28, through: 0, by: -4) {
      append(Self.digit(UInt8(truncatingIfNeeded: keyID.value >> UInt32(shift)) & 15))
    }
  }

  @inline(__always)
  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
  }

  /// Appends a string of JSON, with quotation marks.
  mutating func append(json text: String) {
    append(UInt8(ascii: "\""))
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": append("\\\"")
      case "\\": append("\\\\")
      case "\u{0}"..<" ", "\u{7f}"..."\u{9f}":
        append("\\u00")
        append(hexadecimal: [UInt8(truncatingIfNeeded: scalar.value)])
      default: append(text: String(scalar))
      }
    }
    append(UInt8(ascii: "\""))
  }
}

/// A time as date and clock, UTC.
struct CivilTime {
  let seconds: Int64
  let nanoseconds: UInt64

  init(_ time: Int64) {
    let parts = time.quotientAndRemainder(dividingBy: 1_000_000_000)
    seconds = parts.remainder < 0 ? parts.quotient - 1 : parts.quotient
    nanoseconds = UInt64(parts.remainder < 0 ? parts.remainder + 1_000_000_000 : parts.remainder)
  }

  private var day: Int64 { (seconds - secondOfDay) / 86_400 }
  var secondOfDay: Int64 { (seconds % 86_400 + 86_400) % 86_400 }

  /// The year, month and day of the Gregorian calendar. Months are counted from March here, so that
  /// a leap day is the last one of its year.
  var date: (year: Int64, month: UInt64, day: UInt64) {
    let shifted = day + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
    let calendarMonth = month < 10 ? month + 3 : month - 9
    let year = yearOfEra + era * 400 + (calendarMonth <= 2 ? 1 : 0)
    return (year, UInt64(calendarMonth), UInt64(dayOfMonth))
  }
}
