// SPDX-License-Identifier: Apache-2.0

/// A packet whose size is unknown until all its fragments have arrived.
///
/// The sizes of fragments differ by one byte at most (section 5), so the first to arrive tells the
/// size of the others to within one byte. A fragment that arrives in order is appended, and opened
/// at once if there is a stream. An early fragment waits in a slot of the largest size, and is
/// moved when its turn comes.
struct PacketAssembly {
  let header: FragmentHeader
  let startedAt: Instant
  private let stride: Int
  private var received: UInt64 = 0
  /// The payload of each fragment, in bytes.
  private var sizes = InlineArray<48, UInt16>(repeating: 0)
  private var bytes: [UInt8]
  /// The number of leading fragments that lie one behind the other.
  private var ordered = 0
  /// The end of the ordered fragments, in bytes.
  private var end = 0
  /// The stream that opens a data packet as its fragments arrive.
  private var stream: (any PacketStream)?
  /// True if the stream has reached the tag and it was right.
  private var isAuthentic = false

  /// - Parameter stream: opens the packet; nil if it is returned unopened.
  init(_ header: FragmentHeader, first payload: RawSpan, at now: Instant, stream: (any PacketStream)? = nil) {
    self.header = header
    startedAt = now
    stride = payload.byteCount + 1
    bytes = [UInt8](repeating: 0, count: Int(header.count) * stride)
    self.stream = stream
    stream?.begin(.opening, nonce: header.nonce)
  }

  /// Returns the most bytes that a packet takes which was cut for an MTU.
  static func largestCapacity(mtu: Int) -> Int { FragmentHeader.largestCount * (mtu - FragmentHeader.size + 1) }

  /// Returns the bytes that an incomplete packet takes if `payload` is the first of its fragments
  /// to arrive.
  static func capacity(_ header: FragmentHeader, first payload: RawSpan) -> Int {
    Int(header.count) * (payload.byteCount + 1)
  }

  /// The bytes that the packet takes while it is incomplete.
  var capacity: Int { Int(header.count) * stride }
  /// True if all fragments have arrived.
  var isComplete: Bool { ordered == Int(header.count) }

  /// Returns true if a fragment with this header belongs to the packet: it has the same key and
  /// nonce.
  func isPart(_ other: FragmentHeader) -> Bool {
    header.keyID == other.keyID && header.counter == other.counter && header.type == other.type
      && header.reserved == other.reserved
  }

  /// Returns true if the size of a fragment of the packet is consistent with those of the others.
  func fits(_ header: FragmentHeader, payload: RawSpan) -> Bool {
    header.count == self.header.count && payload.byteCount <= stride && payload.byteCount + 2 >= stride
  }

  /// Inserts a fragment. Returns the reason if it is refused, otherwise nil.
  mutating func insert(_ header: FragmentHeader, payload: RawSpan) -> DropReason? {
    // [FRAG-15]
    guard fits(header, payload: payload) else { return .malformed }
    let number = Int(header.number)
    let bit: UInt64 = 1 << header.number
    // [FRAG-15]
    guard received & bit == 0 else { return .duplicateFragment }
    // The endpoint drops data fragments shorter than a tag earlier, so the tag lies in the last
    // one.
    if stream != nil, payload.byteCount < PacketSize.tag { return .malformed }
    received |= bit
    sizes[number] = UInt16(truncatingIfNeeded: payload.byteCount)
    guard number == ordered else {
      bytes.withMutableBytes { $0.write(payload, at: number * stride) }
      return nil
    }
    append(payload)
    while ordered < Int(header.count), received & 1 << UInt64(ordered) != 0 { appendWaiting() }
    return nil
  }

  /// Returns how many bytes of the next ordered fragment the stream processes. The tag at the end
  /// of the last fragment is not among them.
  private func bodySize(_ size: Int) -> Int { ordered + 1 == Int(header.count) ? size - PacketSize.tag : size }

  /// Appends the next fragment in order, which has just arrived.
  private mutating func append(_ payload: RawSpan) {
    let start = end
    let size = payload.byteCount
    if let stream {
      let body = bodySize(size)
      bytes.withMutableBytes { bytes in
        var output = bytes.slice(start..<start + body)
        stream.update(payload.extracting(0..<body), into: &output)
      }
      if body < size { isAuthentic = stream.finish(expecting: payload.extracting(body..<size)) }
    } else {
      bytes.withMutableBytes { $0.write(payload, at: start) }
    }
    ordered += 1
    end += size
  }

  /// Moves the next fragment in order, which arrived early, behind the others.
  private mutating func appendWaiting() {
    let start = end
    let size = Int(sizes[ordered])
    let place = ordered * stride
    let body = bodySize(size)
    let stream = stream
    isAuthentic = bytes.withMutableBytes { bytes in
      bytes.moveDown(place..<place + size, to: start)
      guard let stream else { return false }
      var output = bytes.slice(start..<start + body)
      stream.update(&output)
      return body < size && stream.finish(expecting: bytes.bytes.extracting(start + body..<start + size))
    }
    ordered += 1
    end += size
  }

  /// The result of a packet whose fragments have all arrived.
  enum Outcome {
    /// The packet, unopened.
    case packet([UInt8])
    /// The plaintext of a packet whose tag was right, and the stream for the next packet.
    case opened([UInt8], any PacketStream)
    case refused(DropReason)
  }

  /// Returns the packet if its fragments have the sizes that section 5 prescribes, and the stream,
  /// if there is one, has opened it. Erases the bytes of a packet that is not authentic.
  consuming func finished() -> Outcome {
    let plan = FragmentPlan(size: end, count: Int(header.count))
    let sizes = sizes
    // [FRAG-6]
    guard (0..<plan.count).allSatisfy({ Int(sizes[$0]) == plan.range($0).count }) else { return refused(.malformed) }
    bytes.removeLast(bytes.count - end)
    guard let stream else { return .packet(bytes) }
    // [DEC-23]
    guard isAuthentic else { return refused(.notAuthentic) }
    bytes.removeLast(PacketSize.tag)
    return .opened(bytes, stream)
  }

  private mutating func refused(_ reason: DropReason) -> Outcome {
    // [DEC-23]
    if stream != nil { bytes.withMutableBytes { $0.zero() } }
    return .refused(reason)
  }
}

extension MutableRawSpan {
  /// Copies the bytes of `range` to `start`, which must not lie behind them.
  fileprivate mutating func moveDown(_ range: Range<Int>, to start: Int) {
    guard start != range.lowerBound else { return }
    var both = slice(start..<range.upperBound)
    unsafe both.withUnsafeMutableBytes { both in
      // Both ranges lie within the slice, and `copyMemory` handles overlapping ranges.
      let source = unsafe UnsafeRawBufferPointer(rebasing: both[(range.lowerBound - start)...])
      unsafe both.copyMemory(from: source)
    }
  }

  fileprivate mutating func zero() {
    for offset in 0..<byteCount { storeBytes(of: 0, toByteOffset: offset, as: UInt8.self) }
  }
}
