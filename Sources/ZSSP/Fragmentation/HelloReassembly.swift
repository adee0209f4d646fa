// SPDX-License-Identifier: Apache-2.0

/// The bounded buffer that holds the X1 fragments of all strangers (section 5).
///
/// The size of a Hello is known, and with it the size and offset of each fragment, so a fragment
/// that does not fit is refused at once. Entries are found by comparing, not by hashing: there are
/// few, and a stranger cannot provoke collisions. A full buffer evicts the oldest entry of the
/// source that holds most, so a source that begins many Hellos evicts its own.
package struct HelloReassembly: Sendable {
  // [FRAG-9]
  /// The number of packets and fragments that the buffer holds.
  package struct Limits: Sendable, Hashable {
    package var packets = 32
    package var fragments = 1024
  }

  private struct Entry: Sendable {
    let address: Address
    let source: HelloSource
    let header: FragmentHeader
    let startedAt: Instant
    var received: UInt64 = 0
    var bytes: [UInt8]

    // [FRAG-10]
    func isPart(_ other: FragmentHeader, from address: Address) -> Bool {
      header.counter == other.counter && header.reserved == other.reserved && self.address == address
    }
    var fragments: Int { received.nonzeroBitCount }
  }

  private let limits: Limits
  private let timeout: Duration
  /// The incomplete packets, in order of arrival.
  private var entries: [Entry] = []
  private var fragments = 0
  /// The numbers of entries and of fragments of each source.
  private var entryCensus = SourceCensus()
  private var fragmentCensus = SourceCensus()

  package init(limits: Limits, timeout: Duration) {
    self.limits = limits
    self.timeout = timeout
    // The limit may be so large that it limits nothing, so the reservation is bounded.
    entries.reserveCapacity(min(limits.packets, Limits().packets))
  }

  /// The number of incomplete packets.
  package var count: Int { entries.count }
  /// The size of the incomplete packets, in bytes.
  package var bytes: Int { entries.count * PacketSize.hello }
  /// The time when the oldest packet expires; nil if there is none.
  package var nextDeadline: Instant? { entries.first?.startedAt.advanced(by: timeout) }

  /// The result of ``HelloReassembly/insert(_:payload:from:at:)``.
  package enum Outcome {
    case stored
    case refused(DropReason)
    case complete([UInt8])
  }

  /// Inserts a fragment: `payload` with its header.
  package mutating func insert(
    _ header: FragmentHeader, payload: RawSpan, from address: Address, at now: Instant
  ) -> Outcome {
    let plan = FragmentPlan(size: PacketSize.hello, count: Int(header.count))
    let range = plan.range(Int(header.number))
    // [DEC-16] [XK-7]
    guard payload.byteCount == range.count else { return .refused(.malformed) }
    if header.count == 1 { return .complete(payload.array) }
    let bit: UInt64 = 1 << header.number

    var index: Int
    if let found = entries.firstIndex(where: { $0.isPart(header, from: address) }) {
      // [FRAG-15]
      guard entries[found].header.count == header.count else { return .refused(.malformed) }
      // [FRAG-15]
      guard entries[found].received & bit == 0 else { return .refused(.duplicateFragment) }
      index = found
    } else {
      index = entries.count
      let entry = Entry(
        address: address, source: HelloSource(address), header: header, startedAt: now,
        bytes: [UInt8](repeating: 0, count: PacketSize.hello))
      entryCensus.add(1, to: entry.source)
      entries.append(entry)
    }
    entries[index].received |= bit
    fragments += 1
    fragmentCensus.add(1, to: entries[index].source)
    index = makeRoom(besides: index)
    entries[index].bytes.withMutableBytes { $0.write(payload, at: range.lowerBound) }
    guard entries[index].fragments == plan.count else { return .stored }
    return .complete(remove(at: index).bytes)
  }

  // [FRAG-16]
  /// Drops the packets that have been incomplete for too long.
  ///
  /// - Returns: the number of dropped packets.
  package mutating func expire(at now: Instant) -> Int {
    var expired = 0
    while let deadline = nextDeadline, deadline <= now {
      _ = remove(at: 0)
      expired += 1
    }
    return expired
  }

  // [DEC-25] [FRAG-9]
  /// Evicts entries until the buffer is within its limits, but not the entry at `index`, which has
  /// just received a fragment.
  ///
  /// - Returns: the new index of that entry.
  private mutating func makeRoom(besides index: Int) -> Int {
    var index = index
    while entries.count > limits.packets || fragments > limits.fragments {
      let census = entries.count > limits.packets ? entryCensus : fragmentCensus
      let others = entries.indices.lazy.filter { $0 != index }
      guard let heaviest = census.heaviest(of: others, { entries[$0].source }) else { break }
      _ = remove(at: heaviest)
      if heaviest < index { index -= 1 }
    }
    return index
  }

  private mutating func remove(at index: Int) -> Entry {
    let entry = entries.remove(at: index)
    fragments -= entry.fragments
    entryCensus.add(-1, to: entry.source)
    fragmentCensus.add(-entry.fragments, to: entry.source)
    return entry
  }
}
