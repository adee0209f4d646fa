// SPDX-License-Identifier: Apache-2.0

/// One packet of a size not known before its fragments are all there.
///
/// Fragments differ by one byte at most (section 5), so the first to arrive tells the size of the others to within one
/// byte. Each gets a place of that size, and the gaps close at the end.
struct PacketAssembly: Sendable {
  let header: FragmentHeader
  let startedAt: Instant
  private let stride: Int
  private var received: UInt64 = 0
  /// The payload of each fragment, in bytes.
  private var sizes: [UInt16]
  private var bytes: [UInt8]

  init(_ header: FragmentHeader, first payload: RawSpan, at now: Instant) {
    self.header = header
    startedAt = now
    stride = payload.byteCount + 1
    sizes = [UInt16](repeating: 0, count: Int(header.count))
    bytes = [UInt8](repeating: 0, count: Int(header.count) * stride)
  }

  /// The most bytes that a packet takes which was cut for an MTU.
  static func largestCapacity(mtu: Int) -> Int { FragmentHeader.largestCount * (mtu - FragmentHeader.size + 1) }

  /// The bytes that the packet takes while it is incomplete.
  var capacity: Int { Int(header.count) * stride }
  /// Whether all fragments are there.
  var isComplete: Bool { received.nonzeroBitCount == Int(header.count) }

  /// Whether a fragment with this header belongs to the packet: same key, same nonce.
  func isPart(_ other: FragmentHeader) -> Bool {
    header.keyID == other.keyID && header.counter == other.counter && header.type == other.type
      && header.reserved == other.reserved
  }

  /// Takes a fragment, or says why not.
  mutating func insert(_ header: FragmentHeader, _ payload: RawSpan) -> DropReason? {
    guard header.count == self.header.count, payload.byteCount <= stride, payload.byteCount + 2 >= stride else {
      return .malformed
    }
    let bit: UInt64 = 1 << header.number
    guard received & bit == 0 else { return .duplicateFragment }
    received |= bit
    sizes[Int(header.number)] = UInt16(truncatingIfNeeded: payload.byteCount)
    bytes.withMutableBytes { $0.write(payload, at: Int(header.number) * stride) }
    return nil
  }

  /// The packet, when it is complete; nil if the sizes of its fragments are not those that section 5 prescribes.
  consuming func assembled() -> [UInt8]? {
    let size = sizes.reduce(0) { $0 + Int($1) }
    let plan = FragmentPlan(size: size, count: sizes.count)
    for number in sizes.indices {
      let range = plan.range(number)
      guard Int(sizes[number]) == range.count else { return nil }
      let start = number * stride
      if start != range.lowerBound {
        unsafe bytes.withUnsafeMutableBytes { bytes in
          // Both ranges lie within the buffer: the place is `stride` long, and a target never lies behind its source.
          let source = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<start + range.count])
          unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[range]).copyMemory(from: source)
        }
      }
    }
    bytes.removeLast(bytes.count - size)
    return bytes
  }
}
