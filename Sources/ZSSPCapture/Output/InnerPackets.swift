// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Writes the IP packets that messages of a tunnel are, as pcapng, and gives all on to another
/// output.
package final class InnerPackets: DecoderOutput {
  /// The number of a link type for packets that begin with their IP header.
  private static let rawIP: UInt16 = 101

  private let next: any DecoderOutput
  private var buffer: LineBuffer
  /// The number of packets that were written.
  package private(set) var count: UInt64 = 0

  /// Creates an output, and writes the beginning of the capture.
  package init(_ sink: any OutputSink, then next: any DecoderOutput) {
    self.next = next
    buffer = LineBuffer(sink)
    // A section header of unknown length, and one interface with times in nanoseconds.
    append([0x0A0D_0D0A, 28, 0x1A2B_3C4D, 0x0000_0001, 0xFFFF_FFFF, 0xFFFF_FFFF, 28])
    append([1, 32, UInt32(Self.rawIP), 0, 0x0001_0009, 9, 0, 32])
  }

  package func receive(
    _ event: borrowing DatagramEvent, addresses: [UInt8], message: RawSpan
  ) throws(CaptureError) {
    try next.receive(event, addresses: addresses, message: message)
    guard case .data(_, let inner) = event.content, inner != 0, message.byteCount > 0 else { return }
    let padding = (4 - message.byteCount % 4) % 4
    let size = UInt32(truncatingIfNeeded: 32 + message.byteCount + padding)
    let time = UInt64(clamping: event.time)
    let captured = UInt32(truncatingIfNeeded: message.byteCount)
    append([
      6, size, 0, UInt32(truncatingIfNeeded: time >> 32), UInt32(truncatingIfNeeded: time), captured, captured,
    ])
    buffer.append(message)
    for _ in 0..<padding { buffer.append(UInt8(0)) }
    append([size])
    try buffer.check()
    count += 1
  }

  /// Writes the packets that were collected, and has the other output write its summary.
  package func summarize(_ decoder: borrowing Decoder) throws(CaptureError) {
    try next.summarize(decoder)
    try buffer.flush()
  }

  /// Writes the packets that were collected.
  package func flush() throws(CaptureError) { try buffer.flush() }

  /// Appends integers in little-endian order.
  private func append(_ words: [UInt32]) {
    for word in words {
      for shift in stride(from: 0, to: 32, by: 8) {
        buffer.append(UInt8(truncatingIfNeeded: word >> UInt32(shift)))
      }
    }
  }
}
