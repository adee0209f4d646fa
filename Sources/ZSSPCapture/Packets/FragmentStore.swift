// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Joins the fragments of ZSSP's packets, in bounded memory (section 5).
struct FragmentStore: ~Copyable {
  /// The bounds.
  struct Limits {
    var packets = 1024
    var bytes = 16 << 20
    /// The time after which an incomplete packet is abandoned, in nanoseconds.
    var timeout: Int64 = 5_000_000_000
  }

  /// The name of a packet.
  struct Key: Hashable {
    var source: Address
    var destination: Address
    var keyID: UInt32
    var type: UInt8
    var reserved: UInt8
    var counter: UInt64
  }

  enum Result {
    case complete([UInt8])
    case waiting
    case duplicate
    case contradiction
  }

  /// A packet that was never completed.
  struct Abandoned {
    let key: Key
    let count: Int
    /// The numbers of the fragments that are missing, from 0.
    let missing: [Int]
    let frame: UInt64
    let time: Int64
  }

  private struct Partial {
    let count: Int
    let time: Int64
    let frame: UInt64
    let serial: UInt64
    var fragments: [[UInt8]]
    var received = 0
    var bytes = 0
  }

  private let limits: Limits
  private var partials: [Key: Partial] = [:]
  /// The packets in the order in which they began. Completed ones stay until their turn comes.
  private var order: [(key: Key, serial: UInt64)] = []
  private var orderStart = 0
  private var serial: UInt64 = 0
  private var bytes = 0

  init(_ limits: Limits = Limits()) { self.limits = limits }

  /// The number of incomplete packets.
  var count: Int { partials.count }
  /// The number of packets whose order is known, complete ones among them.
  var orderCount: Int { order.count }
  /// The bytes of incomplete packets.
  var byteCount: Int { bytes }
  /// True if a bound is reached, and ``removeOldest()`` must be called before the next fragment.
  var isFull: Bool { partials.count >= limits.packets || bytes > limits.bytes }

  /// Adds a fragment of a packet of several.
  mutating func insert(
    _ key: Key, number: Int, count: Int, payload: RawSpan, frame: UInt64, at time: Int64
  ) -> Result {
    guard number < count, count <= FragmentHeader.largestCount else { return .contradiction }
    var partial: Partial
    if let known = partials[key] {
      guard known.count == count else { return .contradiction }
      partial = known
    } else {
      serial += 1
      if order.count >= 4 * limits.packets + 64 { forgetCompleted() }
      order.append((key, serial))
      partial = Partial(
        count: count, time: time, frame: frame, serial: serial, fragments: Array(repeating: [], count: count))
    }
    guard partial.fragments[number].isEmpty else { return .duplicate }
    guard !payload.isEmpty else { return .contradiction }
    // Without it, the array would be copied: the dictionary refers to it, too.
    partials[key] = nil
    partial.fragments[number] = payload.array
    partial.received += 1
    partial.bytes += payload.byteCount
    bytes += payload.byteCount
    guard partial.received == count else {
      partials[key] = partial
      return .waiting
    }
    bytes -= partial.bytes
    return .complete(partial.fragments.flatMap(\.self))
  }

  /// Removes a packet that is older than the timeout.
  mutating func expire(at time: Int64) -> Abandoned? {
    guard let oldest, time &- oldest.partial.time > limits.timeout else { return nil }
    return remove(oldest.key, partial: oldest.partial)
  }

  /// Removes the oldest packet.
  mutating func removeOldest() -> Abandoned? {
    guard let oldest else { return nil }
    return remove(oldest.key, partial: oldest.partial)
  }

  private var oldest: (key: Key, partial: Partial)? {
    mutating get {
      while orderStart < order.count {
        let next = order[orderStart]
        if let partial = partials[next.key], partial.serial == next.serial { return (next.key, partial) }
        orderStart += 1
      }
      // Asked for each frame of a capture, and most have no fragments.
      if orderStart > 0 {
        order.removeAll(keepingCapacity: true)
        orderStart = 0
      }
      return nil
    }
  }

  /// Removes all but the incomplete packets from the order.
  private mutating func forgetCompleted() {
    order = order[orderStart...].filter { partials[$0.key]?.serial == $0.serial }
    orderStart = 0
  }

  private mutating func remove(_ key: Key, partial: Partial) -> Abandoned {
    partials[key] = nil
    bytes -= partial.bytes
    orderStart += 1
    return Abandoned(
      key: key, count: partial.count, missing: partial.fragments.indices.filter { partial.fragments[$0].isEmpty },
      frame: partial.frame, time: partial.time)
  }
}
