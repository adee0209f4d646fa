// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Cuts what a capture shows as one UDP payload into datagrams.
///
/// A host that lets its kernel or network device cut (UDP GSO, or join: GRO) captures many
/// datagrams of one size as one. The size is not in the capture. All of them begin with the same
/// key id.
enum DatagramSplit {
  /// The largest number of datagrams that a kernel joins.
  static let largestCount = 128

  /// Returns the size of all datagrams but the last, which may be shorter; the size of the payload
  /// if it is one datagram.
  static func segmentSize(_ payload: RawSpan) -> Int {
    let count = payload.byteCount
    let smallest = FragmentHeader.smallestDatagram
    guard count >= 2 * smallest else { return count }
    let keyID = payload.load(UInt32.self, at: 0)
    if keyID == 0 { return helloSegmentSize(payload) }
    let first = max(smallest, (count + largestCount - 1) / largestCount)
    // The last datagram has its smallest size, too.
    var size = first
    let end = count - smallest
    return payload.withUnsafeBytes { bytes in
      let raw = keyID.bigEndian
      while size <= end {
        if bytes.loadUnaligned(fromByteOffset: size, as: UInt32.self) == raw, divides(bytes, size: size, raw: raw) {
          return size
        }
        size += 1
      }
      return count
    }
  }

  /// Returns true if each datagram of this size begins with the key id.
  private static func divides(_ bytes: UnsafeRawBufferPointer, size: Int, raw: UInt32) -> Bool {
    var start = size
    while start < bytes.count {
      guard bytes.count - start >= FragmentHeader.smallestDatagram,
        bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self) == raw
      else { return false }
      start += size
    }
    return true
  }

  /// The fragments of a Hello have a size that their header tells.
  private static func helloSegmentSize(_ payload: RawSpan) -> Int {
    guard let header = FragmentHeader(payload), header.type == PacketType.hello.rawValue, header.count > 1 else {
      return payload.byteCount
    }
    let range = FragmentPlan(size: PacketSize.hello, count: Int(header.count)).range(Int(header.number))
    let size = FragmentHeader.size + range.count
    // A datagram that follows one must have the next number.
    guard size + FragmentHeader.smallestDatagram <= payload.byteCount,
      let next = FragmentHeader(payload.extracting(size..<payload.byteCount)), next.counter == header.counter,
      next.number == header.number + 1
    else { return payload.byteCount }
    return size
  }
}
