// SPDX-License-Identifier: Apache-2.0

/// Which sessions have keyed objects, that is keys expanded for use: those that were used lately, and never more than so many.
///
/// A keyed object takes up to some kilobytes, the key itself 32 bytes. So sessions that are idle give theirs up: a sweep goes round and takes
/// a few at a time, so that it delays no packet, and it needs no timer when nobody has any. A use sets one mark, with the time.
/// The number is bounded too, and bounds the memory. Who needs a place when all are taken gets that of a session which was not used
/// since the hand came by last; the hand takes the marks away as it goes round (the "clock" approximation of the least recently used).
/// Only what is plausible (section 5) counts as a use, so that nobody but the peer changes what is kept.
struct KeyCache {
  /// Where a session is found in the cache. Only this file changes it.
  struct Place {
    fileprivate(set) var index: Int32 = -1
  }

  /// How many sessions have expanded keys at most.
  let limit: Int
  private let timeout: Duration
  private var holders: [Session] = []
  private var uses: [Use] = []
  private var hand = 0
  private var sweepHand = 0
  /// What ``Endpoint/prefetch(_:)`` has read. Nobody looks at it.
  private var prefetched: UInt64 = 0
  /// When ``sweep(at:)`` wants to be called.
  private(set) var nextSweep = Instant.distantFuture

  /// So many sessions are looked at in one sweep: what these cost takes no longer than a burst of packets.
  static let sweptAtOnce = 128
  /// However short the timeout is, sweeps leave time for something else.
  private static let shortestPause = Duration.milliseconds(1)

  /// When a session was used last, and whether it was since the hand came by. Four bytes, for they are written with every packet.
  private struct Use {
    private var bits: UInt32

    /// The unit of time, about a quarter of a second: those of 18 years fit.
    static let tick = Duration.nanoseconds(1 << 28)

    init(at now: Instant) { bits = Self.ticks(now.nanoseconds) << 1 | 1 }

    var isMarked: Bool { bits & 1 != 0 }
    mutating func unmark() { bits &= ~1 }

    /// Whether it was longer ago than `timeout`, by up to two ticks. Where the clock ran backwards it seems long ago.
    func isOver(_ timeout: Duration, at now: Instant) -> Bool {
      (Self.ticks(now.nanoseconds) &- bits >> 1) << 1 > (Self.ticks(timeout.nanoseconds) + 1) << 1
    }

    /// The whole ticks in a time.
    private static func ticks(_ nanoseconds: Int64) -> UInt32 {
      UInt32(truncatingIfNeeded: nanoseconds >> 28) & UInt32.max >> 1
    }
  }

  /// Nothing is kept yet. At most `limit` sessions will be, and none much longer than twice `timeout` after its last use.
  init(limit: Int, timeout: Duration) {
    self.limit = limit
    // What is longer than a year is for ever.
    self.timeout = min(timeout, .seconds(365 * 86_400))
  }

  /// How many sessions have expanded keys.
  var count: Int { holders.count }

  /// The keys of a session are used: they may be expanded and kept from now on.
  @inline(__always)
  mutating func use(_ session: Session, at now: Instant) {
    let index = Int(session.cachePlace.index)
    if index >= 0 { uses[index] = Use(at: now) } else { add(session, at: now) }
  }

  private mutating func add(_ session: Session, at now: Instant) {
    if holders.count < limit {
      if holders.isEmpty { nextSweep = now.advanced(by: timeout + Use.tick * 2) }
      session.cachePlace.index = Int32(holders.count)
      holders.append(session)
      uses.append(Use(at: now))
      return
    }
    while uses[hand].isMarked {
      uses[hand].unmark()
      advance()
    }
    holders[hand].evictExpandedKeys()
    holders[hand].cachePlace.index = -1
    holders[hand] = session
    session.cachePlace.index = Int32(hand)
    uses[hand] = Use(at: now)
    advance()
  }

  private mutating func advance() { hand = hand + 1 < holders.count ? hand + 1 : 0 }

  /// Gives up the keys of sessions that are idle, among the next few: each is looked at once in every timeout.
  mutating func sweep(at now: Instant) {
    guard now >= nextSweep else { return }
    let (visits, all) = (min(Self.sweptAtOnce, holders.count), holders.count)
    for _ in 0..<visits {
      if sweepHand >= holders.count { sweepHand = 0 }
      // The last one takes the place of one that is removed, and is looked at next.
      if uses[sweepHand].isOver(timeout, at: now) { remove(holders[sweepHand]) } else { sweepHand += 1 }
    }
    guard !holders.isEmpty else { return }
    let pause = timeout * visits / all
    nextSweep = now.advanced(by: max(pause, Self.shortestPause))
  }

  /// Takes what was read, so that it is read at all.
  mutating func keep(read: UInt64) { prefetched &+= read }

  /// The places that the hand comes to first when `count` sessions need one; none while there are free ones.
  private func next(_ count: Int) -> Range<Int> {
    holders.count < limit ? 0..<0 : hand..<min(hand + count, holders.count)
  }

  /// What `body` reads of the sessions that will lose their expanded keys next, if `count` new ones come; see
  /// ``Endpoint/prefetch(_:)``.
  @inline(__always)
  func prefetchNext(_ count: Int, _ body: (Session) -> UInt64) -> UInt64 {
    var read: UInt64 = 0
    for place in next(count) {
      read &+= unsafe Unmanaged.passUnretained(holders[place])._withUnsafeGuaranteedRef(body)
    }
    return read
  }

  /// Gives up the keys of a session, and its place.
  mutating func remove(_ session: Session) {
    let place = Int(session.cachePlace.index)
    guard place >= 0 else { return }
    session.evictExpandedKeys()
    session.cachePlace.index = -1
    let (last, lastUse) = (holders.removeLast(), uses.removeLast())
    if last !== session {
      holders[place] = last
      uses[place] = lastUse
      last.cachePlace.index = Int32(place)
    }
    if hand >= holders.count { hand = 0 }
    if holders.isEmpty { release() }
  }

  /// Nobody has expanded keys: there is nothing to wait for, nor to keep room for.
  private mutating func release() {
    nextSweep = .distantFuture
    // A few are added again without allocating anything.
    guard holders.capacity > Self.sweptAtOnce else { return }
    (holders, uses) = ([], [])
  }
}
