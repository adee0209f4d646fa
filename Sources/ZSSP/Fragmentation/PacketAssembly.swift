// SPDX-License-Identifier: Apache-2.0

/// One packet of a size not known before its fragments are all there.
///
/// Fragments differ by one byte at most (section 5), so the first to arrive tells the size of the others to within one
/// byte. What comes in its turn is put behind what is there; with a stream it is opened on the way. What comes early waits
/// in a place of the largest size, and is moved when its turn has come.
struct PacketAssembly {
  let header: FragmentHeader
  let startedAt: Instant
  private let stride: Int
  private var received: UInt64 = 0
  /// The payload of each fragment, in bytes.
  private var sizes = InlineArray<48, UInt16>(repeating: 0)
  private var bytes: [UInt8]
  /// So many fragments, the first, lie one behind the other.
  private var ordered = 0
  /// Where they end.
  private var end = 0
  /// Opens a data packet as its fragments come.
  private var stream: (any PacketStream)?
  /// Whether the tag was right, once the stream has come to it.
  private var isAuthentic = false

  /// - Parameter stream: what opens the packet; nil if it is wanted as it comes.
  init(_ header: FragmentHeader, first payload: RawSpan, at now: Instant, stream: (any PacketStream)? = nil) {
    self.header = header
    startedAt = now
    stride = payload.byteCount + 1
    bytes = [UInt8](repeating: 0, count: Int(header.count) * stride)
    self.stream = stream
    stream?.begin(.opening, nonce: header.nonce)
  }

  /// The most bytes that a packet takes which was cut for an MTU.
  static func largestCapacity(mtu: Int) -> Int { FragmentHeader.largestCount * (mtu - FragmentHeader.size + 1) }

  /// The bytes that a packet takes while it is incomplete, if `payload` is the first of its fragments to come.
  static func capacity(_ header: FragmentHeader, first payload: RawSpan) -> Int {
    Int(header.count) * (payload.byteCount + 1)
  }

  /// The bytes that the packet takes while it is incomplete.
  var capacity: Int { Int(header.count) * stride }
  /// Whether all fragments are there.
  var isComplete: Bool { ordered == Int(header.count) }

  /// Whether a fragment with this header belongs to the packet: same key, same nonce.
  func isPart(_ other: FragmentHeader) -> Bool {
    header.keyID == other.keyID && header.counter == other.counter && header.type == other.type
      && header.reserved == other.reserved
  }

  /// Whether a fragment of the packet has a size that goes with those of the others.
  func fits(_ header: FragmentHeader, _ payload: RawSpan) -> Bool {
    header.count == self.header.count && payload.byteCount <= stride && payload.byteCount + 2 >= stride
  }

  /// Takes a fragment, or says why not.
  mutating func insert(_ header: FragmentHeader, _ payload: RawSpan) -> DropReason? {
    // [FRAG-15]
    guard fits(header, payload) else { return .malformed }
    let number = Int(header.number)
    let bit: UInt64 = 1 << header.number
    // [FRAG-15]
    guard received & bit == 0 else { return .duplicateFragment }
    // The door lets no fragment in that is shorter than a tag, so that the tag lies in the last.
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

  /// How much of a fragment in its turn is for the stream. The tag, at the end of the last, is not.
  private func bodySize(_ size: Int) -> Int { ordered + 1 == Int(header.count) ? size - PacketSize.tag : size }

  /// Puts the fragment whose turn it is behind the others.
  private mutating func append(_ payload: RawSpan) {
    let (start, size) = (end, payload.byteCount)
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

  /// Moves the fragment whose turn it is behind the others. It came early.
  private mutating func appendWaiting() {
    let (start, size, place) = (end, Int(sizes[ordered]), ordered * stride)
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

  /// What became of a packet whose fragments are all there.
  enum Outcome {
    /// The packet, not opened.
    case packet([UInt8])
    /// The plaintext of a packet whose tag was right, and the stream for the next.
    case opened([UInt8], any PacketStream)
    case refused(DropReason)
  }

  /// The packet, if the sizes of its fragments are those that section 5 prescribes and it was opened or need not be. What is
  /// not authentic is erased.
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
  /// Copies the bytes of `range` to `start`, which does not lie behind them.
  fileprivate mutating func moveDown(_ range: Range<Int>, to start: Int) {
    guard start != range.lowerBound else { return }
    var both = slice(start..<range.upperBound)
    unsafe both.withUnsafeMutableBytes { both in
      // Both ranges lie within the slice, and what overlaps is copied right.
      let source = unsafe UnsafeRawBufferPointer(rebasing: both[(range.lowerBound - start)...])
      unsafe both.copyMemory(from: source)
    }
  }

  fileprivate mutating func zero() {
    for offset in 0..<byteCount { storeBytes(of: 0, toByteOffset: offset, as: UInt8.self) }
  }
}
