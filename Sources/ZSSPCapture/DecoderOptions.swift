// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The frames that a decoder reads, and the limits of its memory.
package struct DecoderOptions: Sendable {
  /// UDP ports of which each datagram is taken for one of ZSSP.
  package var ports: Set<UInt16> = [DecoderOptions.usualPort]
  /// True if datagrams of other ports are tried, too: flows that begin with a Hello or a challenge,
  /// and those with a key in the key log.
  package var guesses = true
  /// True if events have all fields.
  package var collectsFields = false
  /// The largest number of flows that are remembered.
  package var flows = 16_384
  /// The largest number of different troubles that are remembered.
  package var troubles = 1000
  /// The number of datagrams that are remembered to recognise copies of them, a power of two.
  package var repeats = 1 << 16

  /// The port in the examples of the documentation.
  package static let usualPort: UInt16 = 20763

  package init() {}
}

/// The receiver of what a decoder finds.
package protocol DecoderOutput: AnyObject {
  /// Receives a datagram. `addresses` is its source and destination as text, and `message` the
  /// content of a data packet that was opened; otherwise it is empty.
  ///
  /// - Throws: the error that ends decoding.
  func receive(_ event: borrowing DatagramEvent, addresses: [UInt8], message: RawSpan)
    throws(CaptureError)

  /// Writes the troubles and the counts of a decoder that has come to the end, and all that was
  /// collected.
  func summarize(_ decoder: borrowing Decoder) throws(CaptureError)
}

/// An output that writes nothing.
package final class NoOutput: DecoderOutput {
  package init() {}

  package func receive(_ event: borrowing DatagramEvent, addresses: [UInt8], message: RawSpan) {}

  package func summarize(_ decoder: borrowing Decoder) {}
}

/// The counts of a decoder.
package struct DecoderCounts: Equatable, Sendable {
  package var frames: UInt64 = 0
  /// The bytes of all frames in the capture.
  package var bytes: UInt64 = 0
  /// Frames that are no IP, are cut or damaged, or carry something else than UDP and ICMP.
  package var otherFrames: UInt64 = 0
  /// UDP datagrams of other protocols.
  package var otherDatagrams: UInt64 = 0
  /// Datagrams of ZSSP.
  package var datagrams: UInt64 = 0
  /// Datagrams that the capture has only in part.
  package var cutDatagrams: UInt64 = 0
  /// The other frames of a link whose headers are not known, and the number of that link in the
  /// registry of link types; of several links, that of the first.
  package var unknownLinkFrames: UInt64 = 0
  package var unknownLink: Int?

  package init() {}
}
