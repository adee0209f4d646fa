// SPDX-License-Identifier: Apache-2.0

/// The one bounded buffer for the X1 fragments of all strangers (section 5).
///
/// The size of a Hello is known, and with it the size and place of each fragment, so that a fragment which does not
/// fit is refused at once. Entries are found by comparing, not by hashing: there are few, and a stranger cannot aim at
/// a collision. The oldest entry makes room for a new one.
package struct HelloReassembly: Sendable {
  /// How many packets and fragments the buffer holds, and for how long.
  package struct Limits: Sendable, Hashable {
    package var packets = 32
    package var fragments = 1024
  }

  private struct Entry: Sendable {
    let source: Address
    let header: FragmentHeader
    let startedAt: Instant
    var received: UInt64 = 0
    var bytes: [UInt8]

    func isPart(_ other: FragmentHeader, of source: Address) -> Bool {
      header.counter == other.counter && header.reserved == other.reserved && self.source == source
    }
    var fragments: Int { received.nonzeroBitCount }
  }

  private let limits: Limits
  private let timeout: Duration
  /// The oldest first.
  private var entries: [Entry] = []
  private var fragments = 0

  package init(limits: Limits, timeout: Duration) {
    self.limits = limits
    self.timeout = timeout
    entries.reserveCapacity(limits.packets)
  }

  /// How many packets are incomplete.
  package var count: Int { entries.count }
  /// The bytes that the incomplete packets take.
  package var bytes: Int { entries.count * PacketSize.hello }
  /// When the oldest packet expires.
  package var nextDeadline: Instant? { entries.first?.startedAt.advanced(by: timeout) }

  /// What became of a fragment.
  package enum Outcome {
    case stored
    case refused(DropReason)
    case complete([UInt8])
  }

  /// Takes one fragment: `payload` with its header.
  package mutating func insert(
    _ header: FragmentHeader, _ payload: RawSpan, from source: Address, at now: Instant
  ) -> Outcome {
    let plan = FragmentPlan(size: PacketSize.hello, count: Int(header.count))
    let range = plan.range(Int(header.number))
    guard payload.byteCount == range.count else { return .refused(.malformed) }
    if header.count == 1 { return .complete(payload.array) }
    let bit: UInt64 = 1 << header.number

    let index: Int
    if let found = entries.firstIndex(where: { $0.isPart(header, of: source) }) {
      guard entries[found].header.count == header.count else { return .refused(.malformed) }
      guard entries[found].received & bit == 0 else { return .refused(.duplicateFragment) }
      index = makeRoom(besides: found)
    } else {
      makeRoom()
      index = entries.count
      entries.append(
        Entry(
          source: source, header: header, startedAt: now, bytes: [UInt8](repeating: 0, count: PacketSize.hello)))
    }
    entries[index].received |= bit
    fragments += 1
    entries[index].bytes.withMutableBytes { $0.write(payload, at: range.lowerBound) }
    guard entries[index].fragments == plan.count else { return .stored }
    return .complete(remove(at: index).bytes)
  }

  /// Drops what has been incomplete for too long.
  /// - Returns: how many packets were dropped.
  package mutating func expire(at now: Instant) -> Int {
    var expired = 0
    while let deadline = nextDeadline, deadline <= now {
      _ = remove(at: 0)
      expired += 1
    }
    return expired
  }

  private mutating func makeRoom() {
    while entries.count >= limits.packets || fragments >= limits.fragments, !entries.isEmpty { _ = remove(at: 0) }
  }

  /// Makes room for another fragment of the entry at `index`, which stays.
  /// - Returns: where the entry is now.
  private mutating func makeRoom(besides index: Int) -> Int {
    var index = index
    while fragments >= limits.fragments, entries.count > 1 {
      _ = remove(at: index == 0 ? 1 : 0)
      index = max(0, index - 1)
    }
    return index
  }

  private mutating func remove(at index: Int) -> Entry {
    let entry = entries.remove(at: index)
    fragments -= entry.fragments
    return entry
  }
}
