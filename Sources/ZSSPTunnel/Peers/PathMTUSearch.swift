// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Finds the largest datagram that passes the path to a peer, by probes that the peer answers (RFC
/// 8899). Sizes are bytes of UDP payload.
///
/// ICMP is ignored: anyone can forge it, and many paths block it. A session begins with the
/// smallest size, which passes every path, and grows with each answer. Until the search has
/// settled, packets that do not fit into one datagram travel in two; then their senders learn the
/// size.
///
/// | phase | entered by | left by |
/// |---|---|---|
/// | searching | a session, another path, a size that fails | the largest size passed: settled |
/// | | | three seconds without progress: settled |
/// | | | no answer at all: unsupported, or silent |
/// | settled | searching | three unanswered checks, but a small one answered: searching |
/// | | | an answer to a larger size: searching |
/// | unsupported | searching, if the peer sends but has never answered a probe | an answer |
/// | silent | searching, in other cases without an answer | something came: searching |
///
/// The probes in each phase:
///
/// - searching: up to ten sizes a second, between the largest that passed and the smallest that did
///   not. After a move of the peer, only a small one until it is answered.
/// - settled: the size that passed, every 5 s in which full packets are sent, and larger ones,
///   every minute with traffic.
/// - unsupported: a small one, every minute with traffic. The peer may be older than these probes.
/// - silent: none.
struct PathMTUSearch {
  /// A message that the peer answers.
  struct Probe: Equatable {
    /// The number that the answer repeats.
    let number: UInt64
    /// The size of its datagram in bytes.
    let size: Int
  }

  /// The state of the search.
  enum Phase: Equatable {
    case searching
    case settled
    case unsupported
    case silent
  }

  /// The interval at which the confirmed size is checked while it is used.
  static let checkAfter = Duration.seconds(5)
  /// The interval at which larger sizes are tried.
  static let raiseAfter = Duration.seconds(60)
  /// The number of rounds without progress after which the search settles.
  static let idleLimit = 3
  /// The number of unanswered checks after which the search restarts.
  static let missLimit = 3
  /// The number of sizes tried at once between two known ones.
  private static let sizesAtOnce = 8
  /// The number of recent probes whose answers count.
  private static let memory: UInt64 = 64

  /// The largest useful size.
  let largest: Int
  /// A size that passes every path.
  let smallest: Int
  /// True if sizes are searched. Otherwise one small probe shows whether the peer answers probes.
  let isSearching: Bool
  private(set) var phase = Phase.silent
  /// The largest size that passed.
  private(set) var confirmed: Int
  /// True if the peer has answered a probe since the session began.
  private(set) var isAnswered = false
  /// True if the peer has ever answered a probe.
  private var hasEverAnswered = false
  /// True if the peer has proved that it receives at its current address. An attacker on the path
  /// can make the peer appear anywhere, and must not cause more traffic there than it sends.
  private var isPlaceProved = true

  private var sent: [UInt64: Int] = [:]
  private var nextNumber: UInt64
  /// The sizes of the last round.
  private var round: [Int] = []
  private var idleRounds = 0
  private var hasProgressed = false
  private var begunAt = Instant(nanoseconds: 0)
  private var settledAt = Instant(nanoseconds: 0)
  private var checkedAt = Instant(nanoseconds: 0)
  /// The number of unanswered checks; nil while none is under way.
  private var misses: Int?
  private var isSmallAnswered = false

  /// - Parameters:
  ///   - largest: The largest useful datagram.
  ///   - isSearching: True to search sizes; otherwise `largest` is the only limit.
  ///   - firstNumber: The number of the first probe.
  init(largest: Int, isSearching: Bool, firstNumber: UInt64 = .random(in: 0..<1 << 62)) {
    self.largest = largest
    smallest = min(largest, Settings.smallestDatagramLimit)
    self.isSearching = isSearching && largest > smallest
    confirmed = smallest
    nextNumber = firstNumber
  }

  /// The largest datagram that may be sent; nil for no limit.
  var limit: Int? { isSearching ? confirmed : nil }

  /// The largest datagram that may be relied on, once the search has ended below `largest`;
  /// otherwise nil. For a peer that answers no probes this is the smallest size: nothing tells
  /// which larger one its path would swallow.
  var narrowLimit: Int? {
    let hasEnded = phase == .settled || phase == .unsupported
    return isSearching && hasEnded && confirmed < largest ? confirmed : nil
  }

  /// The largest datagram that is known to pass; nil until one is.
  var known: Int? { isSearching && isAnswered ? confirmed : nil }

  /// The number of unanswered probes.
  var outstanding: Int { sent.count }

  /// Restarts the search for a new session or path.
  ///
  /// - Returns: The probes to send.
  mutating func restart(at now: Instant) -> [Probe] {
    forget(at: now)
    isPlaceProved = true
    return search()
  }

  /// Restarts the search because the peer's address has changed. The next
  /// ``tick(at:lastReceived:isInUse:sendsFullSize:)`` returns the probes.
  mutating func moved(at now: Instant) {
    forget(at: now)
    isPlaceProved = false
    phase = .searching
    round = []
    idleRounds = 0
    hasProgressed = true
    misses = nil
  }

  /// Forgets the path and the probes sent on it.
  private mutating func forget(at now: Instant) {
    isAnswered = false
    confirmed = smallest
    begunAt = now
    sent.removeAll()
  }

  private mutating func search() -> [Probe] {
    phase = .searching
    round = []
    idleRounds = 0
    hasProgressed = false
    misses = nil
    return nextRound()
  }

  /// Records an answer to a probe.
  mutating func answered(_ number: UInt64, at now: Instant) {
    guard let size = sent.removeValue(forKey: number) else { return }
    isAnswered = true
    hasEverAnswered = true
    isPlaceProved = true
    if size <= smallest { isSmallAnswered = true }
    if size >= confirmed {
      checkedAt = now
      misses = nil
    }
    guard isSearching else { return phase = .settled }
    let isLarger = size > confirmed
    guard isLarger || phase != .settled else { return }
    if isLarger {
      confirmed = size
      hasProgressed = true
    }
    if confirmed == largest {
      settle(at: now)
    } else if phase != .searching {
      // The answer was late, or a larger size was tried.
      phase = .searching
      idleRounds = 0
    }
  }

  private mutating func settle(at now: Instant) {
    phase = .settled
    settledAt = now
    checkedAt = now
    misses = nil
  }

  /// Returns the probes to send now. Must be called once a second.
  ///
  /// - Parameters:
  ///   - now: The current time.
  ///   - lastReceived: The time when something was last received from the peer.
  ///   - isInUse: True if packets are being sent to the peer.
  ///   - sendsFullSize: True if packets that need ``confirmed`` were sent since the last call.
  mutating func tick(at now: Instant, lastReceived: Instant?, isInUse: Bool, sendsFullSize: Bool) -> [Probe] {
    switch phase {
    case .searching: return continueSearch(at: now, isHeard: lastReceived.map { $0 > begunAt } ?? false)
    case .settled: return check(at: now, isInUse: isInUse, sendsFullSize: sendsFullSize)
    case .unsupported:
      guard isInUse, settledAt.duration(to: now) >= Self.raiseAfter else { return [] }
      settledAt = now
      return [probe(smallest)]
    case .silent:
      guard let lastReceived, lastReceived > begunAt else { return [] }
      return restart(at: now)
    }
  }

  private mutating func continueSearch(at now: Instant, isHeard: Bool) -> [Probe] {
    idleRounds = hasProgressed ? 0 : idleRounds + 1
    hasProgressed = false
    if idleRounds >= Self.idleLimit {
      guard isAnswered else {
        // A peer that has answered once supports probes; its path has a small MTU.
        phase = isHeard && !hasEverAnswered ? .unsupported : .silent
        begunAt = now
        settledAt = now
        return []
      }
      if bound - confirmed <= Self.sizesAtOnce {
        settle(at: now)
        return []
      }
    }
    return nextRound()
  }

  /// The smallest size that was tried and is not known to pass.
  private var bound: Int { round.filter { $0 > confirmed }.min() ?? largest + 1 }

  private mutating func nextRound() -> [Probe] {
    guard isSearching, isPlaceProved else { return [probe(smallest)] }
    let bound = min(bound, largest)
    let step = max(1, (bound - confirmed + Self.sizesAtOnce - 1) / Self.sizesAtOnce)
    var sizes = Array(stride(from: confirmed + step, to: bound, by: step)) + [bound]
    // A probe may have been lost for another reason than its size.
    if bound < largest { sizes.append(largest) }
    round = sizes
    return (isAnswered ? [] : [probe(smallest)]) + sizes.map { probe($0) }
  }

  private mutating func check(at now: Instant, isInUse: Bool, sendsFullSize: Bool) -> [Probe] {
    guard isSearching else { return [] }
    if let misses {
      self.misses = misses + 1
      if misses + 1 < Self.missLimit { return [probe(smallest), probe(confirmed)] }
      guard isSmallAnswered else {
        // Nothing is answered, so the size is not the reason.
        self.misses = nil
        checkedAt = now
        return []
      }
      confirmed = smallest
      return search()
    }
    if sendsFullSize, confirmed > smallest, checkedAt.duration(to: now) >= Self.checkAfter {
      self.misses = 0
      isSmallAnswered = false
      return [probe(confirmed)]
    }
    if isInUse, confirmed < largest, settledAt.duration(to: now) >= Self.raiseAfter {
      settledAt = now
      round = []
      return nextRound()
    }
    return []
  }

  private mutating func probe(_ size: Int) -> Probe {
    defer { nextNumber += 1 }
    sent[nextNumber] = size
    if sent.count > Self.memory {
      let oldest = nextNumber - Self.memory
      sent = sent.filter { $0.key > oldest }
    }
    return Probe(number: nextNumber, size: size)
  }
}
