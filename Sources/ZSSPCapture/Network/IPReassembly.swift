// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Joins the fragments of IP packets, in bounded memory.
struct IPReassembly: ~Copyable {
  /// The largest number of incomplete packets. A new one evicts the oldest.
  static let largestCount = 64
  /// The largest number of fragments of a packet.
  static let largestFragmentCount = 128
  /// The time after which an incomplete packet is abandoned, in nanoseconds.
  static let timeout: Int64 = 30_000_000_000
  /// The largest payload of an IP packet.
  static let largestPacket = 65_535

  fileprivate struct Key: Equatable {
    let source: Address
    let destination: Address
    let id: UInt32
    let transport: UInt8
  }

  fileprivate struct Partial {
    let key: Key
    let time: Int64
    var bytes: [UInt8] = []
    /// The ranges that are there, in order, without gaps of zero.
    var ranges: [Range<Int>] = []
    var fragmentCount = 0
    var total: Int?
  }

  /// The reason why a packet is not completed.
  enum Reason {
    /// Its other fragments did not come in time.
    case missing
    /// The packet gave way to others, of which too many began before its other fragments came.
    case evicted
    /// Its fragments overlap, or do not fit together.
    case contradiction
  }

  /// An incomplete packet that is abandoned.
  struct Abandoned {
    let reason: Reason
    let source: Address
    let destination: Address
    /// The first bytes of the packet, if its first fragment came.
    let head: [UInt8]
  }

  /// The result of a fragment.
  struct Outcome {
    /// The payload of the packet, if the fragment completes it.
    var payload: [UInt8]?
    /// The packet that the fragment ends: its own, or one that has to make room.
    var abandoned: Abandoned?
  }

  private var partials: [Partial] = []
  /// The number of packets that were never completed.
  private(set) var abandonedCount = 0

  /// The number of incomplete packets.
  var count: Int { partials.count }

  /// Adds a fragment.
  mutating func insert(
    _ packet: IPPacket, fragment: IPPacket.Fragment, payload: RawSpan, at time: Int64
  ) -> Outcome {
    let key = Key(
      source: packet.source, destination: packet.destination, id: fragment.id, transport: packet.transport)
    let end = fragment.offset + payload.byteCount
    // A capture that cut the frame cannot complete the packet.
    guard payload.byteCount == packet.payloadSize, end <= Self.largestPacket, !payload.isEmpty else {
      return Outcome()
    }
    let index: Int
    var evicted: Abandoned?
    if let known = partials.firstIndex(where: { $0.key == key }) {
      index = known
    } else {
      if partials.count >= Self.largestCount { evicted = abandon(at: 0, because: .evicted) }
      partials.append(Partial(key: key, time: time))
      index = partials.count - 1
    }
    guard partials[index].add(payload, at: fragment.offset, isLast: !fragment.hasMore) else {
      // The first fragment of a packet contradicts nothing, so there was no eviction.
      return Outcome(abandoned: abandon(at: index, because: .contradiction))
    }
    guard let total = partials[index].total, partials[index].ranges == [0..<total] else {
      return Outcome(abandoned: evicted)
    }
    var bytes = partials.remove(at: index).bytes
    bytes.removeLast(bytes.count - total)
    return Outcome(payload: bytes, abandoned: evicted)
  }

  /// Removes the oldest packet that is older than the timeout.
  mutating func expire(at time: Int64) -> Abandoned? {
    guard let first = partials.first, time &- first.time > Self.timeout else { return nil }
    return abandon(at: 0, because: .missing)
  }

  /// Removes the oldest packet.
  mutating func removeOldest() -> Abandoned? {
    partials.isEmpty ? nil : abandon(at: 0, because: .missing)
  }

  private mutating func abandon(at index: Int, because reason: Reason) -> Abandoned {
    abandonedCount += 1
    let partial = partials.remove(at: index)
    let hasHead = partial.ranges.first?.lowerBound == 0
    return Abandoned(
      reason: reason, source: partial.key.source, destination: partial.key.destination,
      head: hasHead ? Array(partial.bytes.prefix(64)) : [])
  }
}

extension IPReassembly.Partial {
  /// Adds a fragment. Returns false if it contradicts those that are there (RFC 5722 asks to drop
  /// packets with overlaps).
  fileprivate mutating func add(_ payload: RawSpan, at offset: Int, isLast: Bool) -> Bool {
    let range = offset..<offset + payload.byteCount
    fragmentCount += 1
    guard fragmentCount <= IPReassembly.largestFragmentCount else { return false }
    if ranges.contains(where: { $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound }) {
      // The capture may have the fragment twice.
      return true
    }
    guard !ranges.contains(where: { $0.overlaps(range) }) else { return false }
    if isLast {
      guard total == nil || total == range.upperBound else { return false }
      total = range.upperBound
    }
    if let total, range.upperBound > total || (ranges.last?.upperBound ?? 0) > total { return false }
    if bytes.count < range.upperBound {
      bytes.append(contentsOf: repeatElement(0, count: range.upperBound - bytes.count))
    }
    bytes.withMutableBytes { $0.write(payload, at: offset) }
    let place = ranges.firstIndex { $0.lowerBound > range.lowerBound } ?? ranges.count
    ranges.insert(range, at: place)
    if place + 1 < ranges.count, ranges[place].upperBound == ranges[place + 1].lowerBound {
      ranges[place] = ranges[place].lowerBound..<ranges[place + 1].upperBound
      ranges.remove(at: place + 1)
    }
    if place > 0, ranges[place - 1].upperBound == ranges[place].lowerBound {
      ranges[place - 1] = ranges[place - 1].lowerBound..<ranges[place].upperBound
      ranges.remove(at: place)
    }
    return true
  }
}
