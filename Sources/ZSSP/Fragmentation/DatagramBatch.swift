// SPDX-License-Identifier: Apache-2.0

/// Datagrams to send, in order, in one buffer.
///
/// Datagrams of one size to one address lie next to each other and form a ``Run``, so that a
/// transport can pass a run to the kernel as one UDP GSO super-datagram. Emptying the batch keeps
/// its buffer: in the steady state nothing is allocated.
public struct DatagramBatch: ~Copyable {
  /// Consecutive datagrams for one address.
  public struct Run: Sendable, Hashable {
    /// The destination.
    public let address: Address
    /// The IPv4 type of service or IPv6 traffic class of the datagrams: six bits of DSCP and two of
    /// ECN.
    public let trafficClass: UInt8
    /// The range of the datagrams in ``DatagramBatch/bytes``.
    public fileprivate(set) var range: Range<Int>
    /// The size of each datagram but the last, in bytes. The last may be shorter.
    public let segmentSize: Int
    /// The number of datagrams.
    public fileprivate(set) var count: Int
  }

  private var storage: [UInt8] = []
  private var used = 0
  /// The buffer in which a message is sealed that does not fit into one fragment.
  var scratch: [UInt8] = []
  /// The runs, in order.
  public private(set) var runs: [Run] = []

  /// The size of the buffer at first use, in bytes: enough for a full GSO super-datagram.
  private static let initialCapacity = 1 << 16

  /// Creates an empty batch. It allocates at first use.
  public init() {}

  /// True if the batch holds no datagram.
  public var isEmpty: Bool { runs.isEmpty }
  /// The size of all datagrams together, in bytes.
  public var byteCount: Int { used }
  /// The number of datagrams.
  public private(set) var count = 0

  /// The size of a batch.
  struct BatchCounts {
    let datagrams: Int
    let bytes: Int
  }

  /// The current size.
  var tally: BatchCounts { BatchCounts(datagrams: count, bytes: used) }

  /// The bytes of all datagrams, one after another.
  public var bytes: RawSpan {
    @_lifetime(borrow self) get { unsafe storage.span.bytes.extracting(0..<used) }
  }

  /// Removes all datagrams, and keeps the buffer. Call it after they were sent.
  public mutating func removeAll() {
    used = 0
    count = 0
    runs.removeAll(keepingCapacity: true)
  }

  /// Appends a datagram of `size` bytes to `address`. The closure must write all of its bytes.
  mutating func append(
    size: Int, to address: Address, trafficClass: UInt8 = 0, _ write: (inout MutableRawSpan) -> Void
  ) {
    let start = used
    reserve(size)
    used += size
    storage.withMutableBytes { bytes in
      var datagram = bytes.slice(start..<start + size)
      write(&datagram)
    }
    record(start..<used, to: address, trafficClass: trafficClass)
  }

  /// Calls `body` with the bytes of all datagrams from offset `start` on, to change them.
  mutating func rewrite(from start: Int, _ body: (inout MutableRawSpan) -> Void) {
    let end = used
    storage.withMutableBytes { bytes in
      var written = bytes.slice(start..<end)
      body(&written)
    }
  }

  private mutating func reserve(_ size: Int) {
    guard used + size > storage.count else { return }
    let capacity = max(Self.initialCapacity, 2 * storage.count, used + size)
    storage.append(contentsOf: repeatElement(0, count: capacity - storage.count))
  }

  private mutating func record(_ range: Range<Int>, to address: Address, trafficClass: UInt8) {
    count += 1
    let last = runs.count - 1
    // A run ends with its first shorter datagram, and has one path and one traffic class.
    if last >= 0, range.count <= runs[last].segmentSize, runs[last].trafficClass == trafficClass,
      runs[last].address.isSamePath(as: address),
      runs[last].range.count == runs[last].count * runs[last].segmentSize
    {
      runs[last].range = runs[last].range.lowerBound..<range.upperBound
      runs[last].count += 1
    } else {
      runs.append(
        Run(address: address, trafficClass: trafficClass, range: range, segmentSize: range.count, count: 1))
    }
  }
}
