// SPDX-License-Identifier: Apache-2.0

/// The sessions that have keyed objects, which are keys expanded for use: recently used sessions,
/// up to a limit.
///
/// A keyed object takes up to some kilobytes, the key itself 32 bytes. So idle sessions release
/// theirs: a sweep checks a few sessions at a time, so it delays no packet, and it needs no timer
/// while no session has expanded keys. A use sets one mark, with the time. The limit bounds the
/// memory: when the cache is full, a CLOCK sweep evicts the first session not used since the hand
/// last passed. The hand clears the marks that it passes. Only packets with an expected header
/// (section 5) count as a use, so only the peer affects what is cached.
struct KeyCache {
  /// The position of a session in the cache. Only this file changes it.
  struct Place {
    fileprivate(set) var index: Int32 = -1
  }

  /// The largest number of sessions with expanded keys.
  let limit: Int
  private let timeout: Duration
  private var holders: [Session] = []
  private var uses: [Use] = []
  private var hand = 0
  private var sweepHand = 0
  /// The sum of what ``Endpoint/prefetch(_:)`` has read. It is never used.
  private var prefetched: UInt64 = 0
  /// The time at which ``sweep(at:)`` must be called.
  private(set) var nextSweep = Instant.distantFuture

  /// The number of sessions that one sweep checks. They take no longer than a burst of packets.
  static let sweptAtOnce = 128
  /// The shortest time between sweeps, however short the timeout is.
  private static let shortestPause = Duration.milliseconds(1)

  /// The time of a session's last use, and a mark that the hand clears. It takes four bytes,
  /// because it is written with every packet.
  private struct Use {
    private var bits: UInt32

    /// The unit of time, about a quarter of a second. Its counter covers 18 years.
    static let tick = Duration.nanoseconds(1 << 28)

    init(at now: Instant) { bits = Self.ticks(now.nanoseconds) << 1 | 1 }

    var isMarked: Bool { bits & 1 != 0 }
    mutating func unmark() { bits &= ~1 }

    /// Returns true if the last use was longer ago than `timeout`, with an error of up to two
    /// ticks. If the clock ran backwards, the use counts as long ago.
    func isOver(_ timeout: Duration, at now: Instant) -> Bool {
      (Self.ticks(now.nanoseconds) &- bits >> 1) << 1 > (Self.ticks(timeout.nanoseconds) + 1) << 1
    }

    /// Returns the whole ticks of a time.
    private static func ticks(_ nanoseconds: Int64) -> UInt32 {
      UInt32(truncatingIfNeeded: nanoseconds >> 28) & UInt32.max >> 1
    }
  }

  /// Creates an empty cache of at most `limit` sessions. A session is evicted within about twice
  /// `timeout` after its last use.
  init(limit: Int, timeout: Duration) {
    self.limit = limit
    // A timeout longer than a year counts as a year.
    self.timeout = min(timeout, .seconds(365 * 86_400))
  }

  /// The number of sessions with expanded keys.
  var count: Int { holders.count }

  /// Records a use of a session's keys. From now on they may stay expanded.
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

  /// Evicts the keys of idle sessions among the next few. Each session is checked once per timeout.
  mutating func sweep(at now: Instant) {
    guard now >= nextSweep else { return }
    let visits = min(Self.sweptAtOnce, holders.count)
    let all = holders.count
    for _ in 0..<visits {
      if sweepHand >= holders.count { sweepHand = 0 }
      // Removing a session moves the last one to its index, which is checked next.
      if uses[sweepHand].isOver(timeout, at: now) { remove(holders[sweepHand]) } else { sweepHand += 1 }
    }
    guard !holders.isEmpty else { return }
    let pause = timeout * visits / all
    nextSweep = now.advanced(by: max(pause, Self.shortestPause))
  }

  /// Uses the result of prefetching reads, so that the compiler does not remove them.
  mutating func keep(read: UInt64) { prefetched &+= read }

  /// Returns the indices that the hand reaches first if `count` sessions are added; none while
  /// there are free slots.
  private func next(_ count: Int) -> Range<Int> {
    holders.count < limit ? 0..<0 : hand..<min(hand + count, holders.count)
  }

  /// Returns what `body` reads of the sessions that are evicted next if `count` sessions are added;
  /// see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  func prefetchNext(_ count: Int, body: (Session) -> UInt64) -> UInt64 {
    var read: UInt64 = 0
    for place in next(count) {
      read &+= unsafe Unmanaged.passUnretained(holders[place])._withUnsafeGuaranteedRef(body)
    }
    return read
  }

  /// Evicts the keys of a session, and frees its slot.
  mutating func remove(_ session: Session) {
    let place = Int(session.cachePlace.index)
    guard place >= 0 else { return }
    session.evictExpandedKeys()
    session.cachePlace.index = -1
    let last = holders.removeLast()
    let lastUse = uses.removeLast()
    if last !== session {
      holders[place] = last
      uses[place] = lastUse
      last.cachePlace.index = Int32(place)
    }
    if hand >= holders.count { hand = 0 }
    if holders.isEmpty { release() }
  }

  /// Stops the sweep, and frees the memory, when no session has expanded keys.
  private mutating func release() {
    nextSweep = .distantFuture
    // The capacity for a few sessions stays, so that adding them needs no allocation.
    guard holders.capacity > Self.sweptAtOnce else { return }
    holders = []
    uses = []
  }
}
