// SPDX-License-Identifier: Apache-2.0

/// A session or a half-open handshake, with its incomplete packets.
///
/// Only ``ReassemblyMemory`` changes these.
protocol ReassemblyHolder: TimerEntry {
  var reassembly: SessionReassembly { get set }
  var reassemblyPlace: ReassemblyMemory.Place { get set }
  /// The earliest of all that it waits for.
  var nextDeadline: Instant { get }
}

/// The incomplete packets of all sessions and half-open handshakes of an endpoint: how many bytes
/// they take, and whose goes when that is too much (section 14 of the specification).
///
/// Holders are grouped by how many shares they hold, a share being one packet of the largest size:
/// up to one, two, four, and so on. The highest group loses first, so that many sessions cannot
/// take the one packet of another by holding more themselves. Within a group the next few holders
/// are looked at, and the one goes of which no fragment has come for longest: a packet that is
/// being sent stays, and one that was begun and left goes. To look at a few in turn costs the same
/// however many there are, and takes one that is being sent only if all others of these few were
/// sent to in the meantime.
struct ReassemblyMemory {
  /// Where a holder is found in the memory.
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

  /// So many holders are looked at when one packet must go.
  private static let lookedAt = 16

  private let limit: Int
  private let share: Int
  private var groups = [Group()]
  /// How many fragments were stored.
  private var fragments: UInt64 = 0
  /// The bytes that incomplete packets take.
  private(set) var bytes = 0

  /// No packet is incomplete.
  ///
  /// - Parameters:
  ///   - limit: bytes at most; at least `share`.
  ///   - share: the bytes of one packet of the largest size.
  init(limit: Int, share: Int) {
    self.limit = limit
    self.share = share
  }

  /// Takes a fragment in. If its packet is new there may be too much now: see ``evict()``.
  ///
  /// - Parameter key: asked at the first fragment of a packet for what opens it as the fragments
  ///   come; nil if it shall not be opened.
  @inline(__always)
  mutating func insert(
    _ header: FragmentHeader, _ payload: RawSpan, of holder: some ReassemblyHolder, _ provider: any CryptoProvider,
    at now: Instant, openedBy key: @autoclosure () -> SessionKey? = nil
  ) -> SessionReassembly.Outcome {
    let before = holder.reassembly.bytes
    let outcome = holder.reassembly.insert(header, payload, at: now) { key()?.takeReceivingStream(provider) }
    if case .stored = outcome { fragmentStored(holder) }
    if holder.reassembly.bytes != before { update(holder, from: before) }
    return outcome
  }

  /// Changes what is incomplete of `holder`: drops some of it.
  mutating func drop<Result>(of holder: some ReassemblyHolder, _ body: (inout SessionReassembly) -> Result) -> Result {
    let before = holder.reassembly.bytes
    let result = body(&holder.reassembly)
    if holder.reassembly.bytes != before { update(holder, from: before) }
    return result
  }

  // [DEC-40]
  /// Whether packets must go.
  var isOverLimit: Bool { bytes > limit }

  // [DEC-41]
  /// Drops the oldest packet of one holder, if there is too much.
  ///
  /// - Returns: whose it was.
  mutating func evict() -> (any ReassemblyHolder)? {
    guard isOverLimit, let victim = nextVictim() else { return nil }
    drop(of: victim) { $0.removeOldest() }
    return victim
  }

  /// Counts what the incomplete packets of `holder` have come to, who had `before` bytes of them.
  private mutating func update(_ holder: some ReassemblyHolder, from before: Int) {
    let now = holder.reassembly.bytes
    bytes += now - before
    let group = now == 0 ? -1 : group(of: now)
    guard group != holder.reassemblyPlace.group else { return }
    remove(holder)
    if group >= 0 { add(holder, to: group) }
  }

  /// A fragment was stored.
  @inline(__always)
  private mutating func fragmentStored(_ holder: some ReassemblyHolder) {
    fragments += 1
    holder.reassemblyPlace.lastFragment = fragments
  }

  // [DEC-41]
  /// The holder whose oldest packet goes next. Whoever has just begun one is it only if it alone
  /// holds more than all others.
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

  /// 0 up to one share, 1 up to two, 2 up to four, and so on.
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
    let (group, index) = (Int(place.group), Int(place.index))
    let last = groups[group].holders.removeLast()
    if last !== holder {
      groups[group].holders[index] = last
      last.reassemblyPlace.index = place.index
    }
    if groups[group].hand >= groups[group].holders.count { groups[group].hand = 0 }
    holder.reassemblyPlace.group = -1
  }
}
