// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A UDP socket as the driver uses it: a channel of NIO's, or a socket of the system's own.
///
/// What comes is given to ``Driver/receive(_:segmentSize:from:isSteered:)``, and then ``Driver/readComplete()`` is called; when there is
/// room again, ``Driver/drainSends()``. Everything happens on the driver's event loop.
protocol DatagramPort: AnyObject {
  /// Whether more should be given to it. What is given nevertheless is kept within bounds.
  var isWritable: Bool { get }
  /// Whether there is something that the system has not taken yet.
  var hasUnsent: Bool { get }
  /// Datagrams, and then Hellos, that the system dropped because they were not read in time.
  var unread: (datagrams: UInt64, hellos: UInt64) { get }

  /// Sends the datagrams of a batch, or keeps copies of them until the system takes them.
  func send(_ batch: borrowing DatagramBatch)

  /// Closes the socket and calls `completion`, perhaps at once.
  func close(_ completion: @escaping @Sendable () -> Void)
}

extension DatagramBatch.Run {
  /// What a kernel takes as one super-datagram: at most this many segments…
  private static let segmentLimit = 64
  /// …and bytes.
  private static let byteLimit = 65_000

  /// Calls `body` with the parts of the run that go to the system in one piece: super-datagrams where it segments, else
  /// single datagrams.
  func forEachPiece(segmenting: Bool, _ body: (Range<Int>) -> Void) {
    let segments = segmenting ? max(1, min(Self.segmentLimit, Self.byteLimit / max(1, segmentSize))) : 1
    let stride = segments * segmentSize
    var start = range.lowerBound
    // A datagram of no bytes is none of the protocol's.
    while start < range.upperBound, stride > 0 {
      let end = min(start + stride, range.upperBound)
      body(start..<end)
      start = end
    }
  }
}
