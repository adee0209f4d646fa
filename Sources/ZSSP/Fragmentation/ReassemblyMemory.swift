// SPDX-License-Identifier: Apache-2.0

/// A session or a half-open handshake, with its incomplete packets.
///
/// Only ``ReassemblyMemory`` changes these.
protocol ReassemblyHolder: TimerEntry {
  var reassembly: SessionReassembly { get set }
  var reassemblyPlace: ReassemblyMemory.Place { get set }
  /// The earliest deadline of everything that the holder waits for.
  var nextDeadline: Instant { get }
}

/// The incomplete packets of all sessions and half-open handshakes of an endpoint: the bytes that
/// they take, and which packet is evicted when they are too many (section 14 of the specification).
///
/// Holders are grouped by the number of shares they hold, a share being one packet of the largest
/// size: up to one, two, four, and so on. Evictions start in the highest group, so many sessions
/// cannot evict the only packet of another by holding more themselves. Within a group an eviction
/// looks at the next few holders, and chooses the one whose last fragment is the oldest: a packet
/// that is being received stays, an abandoned one goes. Looking at a few holders in turn costs the
/// same however many there are. It evicts a packet that is being received only if all others of
/// these few have received fragments since.
struct ReassemblyMemory {
  /// The position of a holder in the memory.
  struct Place {
    /// The group; -1 while no packet is incomplete.
    fileprivate var group: Int32 = -1
    fileprivate var index: Int32 = 0
    /// The number of the fragment that was stored last.
    fileprivate var lastFragment: UInt64 = 0
  }

  private struct Group {
    var holders: [any ReassemblyHolder] = []
    var hand = 0
  }

  /// The number of holders to look at when one packet must be evicted.
  private static let lookedAt = 16

  private let limit: Int
  private let share: Int
  private var groups = [Group()]
  /// The number of fragments that were stored.
  private var fragments: UInt64 = 0
  /// The bytes that incomplete packets take.
  private(set) var bytes = 0

  /// Creates a memory without incomplete packets.
  ///
  /// - Parameters:
  ///   - limit: the most bytes; at least `share`.
  ///   - share: the bytes of one packet of the largest size.
  init(limit: Int, share: Int) {
    self.limit = limit
    self.share = share
  }

  /// Inserts a fragment. A fragment of a new packet may exceed the limit: call ``evict()``
  /// afterwards.
  ///
  /// - Parameter key: evaluated at the first fragment of a packet; opens the packet as its
  ///   fragments arrive. Nil if it is not to be opened.
  @inline(__always)
  mutating func insert(
    _ header: FragmentHeader, payload: RawSpan, of holder: some ReassemblyHolder, provider: any CryptoProvider,
    at now: Instant, openedBy key: @autoclosure () -> SessionKey? = nil
  ) -> SessionReassembly.Outcome {
    let before = holder.reassembly.bytes
    let outcome = holder.reassembly.insert(header, payload: payload, at: now) { key()?.takeReceivingStream(provider) }
    if case .stored = outcome { fragmentStored(holder) }
    if holder.reassembly.bytes != before { update(holder, from: before) }
    return outcome
  }

  /// Drops incomplete packets of `holder`: `body` removes them.
  mutating func drop<Result>(of holder: some ReassemblyHolder, _ body: (inout SessionReassembly) -> Result) -> Result {
    let before = holder.reassembly.bytes
    let result = body(&holder.reassembly)
    if holder.reassembly.bytes != before { update(holder, from: before) }
    return result
  }

  // [DEC-40]
  /// True if packets must be evicted.
  var isOverLimit: Bool { bytes > limit }

  // [DEC-41]
  /// Drops the oldest packet of one holder, if the limit is exceeded.
  ///
  /// - Returns: the holder of the dropped packet; nil if none was dropped.
  mutating func evict() -> (any ReassemblyHolder)? {
    guard isOverLimit, let victim = nextVictim() else { return nil }
    drop(of: victim) { $0.removeOldest() }
    return victim
  }

  /// Updates the counts and the group of `holder`, whose incomplete packets took `before` bytes.
  private mutating func update(_ holder: some ReassemblyHolder, from before: Int) {
    let now = holder.reassembly.bytes
    bytes += now - before
    let group = now == 0 ? -1 : group(of: now)
    guard group != holder.reassemblyPlace.group else { return }
    remove(holder)
    if group >= 0 { add(holder, to: group) }
  }

  /// Records that a fragment was stored.
  @inline(__always)
  private mutating func fragmentStored(_ holder: some ReassemblyHolder) {
    fragments += 1
    holder.reassemblyPlace.lastFragment = fragments
  }

  // [DEC-41]
  /// Returns the holder whose oldest packet is evicted next. A holder that has just begun a packet
  /// is chosen only if it is alone in the highest group.
  private mutating func nextVictim() -> (any ReassemblyHolder)? {
    guard let group = groups.lastIndex(where: { !$0.holders.isEmpty }) else { return nil }
    var victim = groups[group].holders[groups[group].hand]
    for _ in 0..<min(Self.lookedAt, groups[group].holders.count) {
      let holder = groups[group].holders[groups[group].hand]
      if holder.reassemblyPlace.lastFragment < victim.reassemblyPlace.lastFragment { victim = holder }
      groups[group].hand = (groups[group].hand + 1) % groups[group].holders.count
    }
    return victim
  }

  /// Returns 0 for up to one share, 1 for up to two, 2 for up to four, and so on.
  private func group(of bytes: Int) -> Int32 {
    bytes <= share ? 0 : Int32(Int.bitWidth - ((bytes - 1) / share).leadingZeroBitCount)
  }

  private mutating func add(_ holder: some ReassemblyHolder, to group: Int32) {
    while groups.count <= group { groups.append(Group()) }
    holder.reassemblyPlace.group = group
    holder.reassemblyPlace.index = Int32(groups[Int(group)].holders.count)
    groups[Int(group)].holders.append(holder)
  }

  private mutating func remove(_ holder: some ReassemblyHolder) {
    let place = holder.reassemblyPlace
    guard place.group >= 0 else { return }
    let group = Int(place.group)
    let index = Int(place.index)
    let last = groups[group].holders.removeLast()
    if last !== holder {
      groups[group].holders[index] = last
      last.reassemblyPlace.index = place.index
    }
    if groups[group].hand >= groups[group].holders.count { groups[group].hand = 0 }
    holder.reassemblyPlace.group = -1
  }
}
