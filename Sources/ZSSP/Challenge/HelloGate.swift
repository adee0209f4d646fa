// SPDX-License-Identifier: Apache-2.0

/// Admission control for Hellos: applies the policy, and queues the Hellos that it cannot read yet.
/// Its memory is bounded.
struct HelloGate: Sendable {
  /// The budget that a Hello's work is charged to.
  enum Allowance: Sendable {
    /// Unlimited, because the policy has no budget.
    case unlimited
    /// ``HelloBudget/unchallenged``.
    case unchallenged
    /// ``HelloBudget/challenged``.
    case challenged
  }

  /// The decision on a Hello.
  enum Verdict: Hashable {
    /// The Hello is to be read now.
    case read(Allowance)
    /// The Hello is in the queue. `evicting` is true if another Hello was evicted for it.
    case wait(evicting: Bool)
    case challenge
    case drop(DropReason)
  }

  private static let columns = 1024

  var policy: HelloPolicy
  /// True with π1, where a challenge would break silence.
  private let isSilent: Bool
  /// The most items of work on Hellos that may be under way.
  private let workLimit: Int
  /// The number of items of work on Hellos that are under way.
  private(set) var work = 0
  private var unchallenged = TimeBudget()
  private var challenged = TimeBudget()
  /// Limits on reading X3 beyond the first of each handshake: a quarter of either share, so that
  /// they do not keep Hellos out. The same time is charged to the budgets above as well.
  private var unchallengedBodies = TimeBudget()
  private var challengedBodies = TimeBudget()
  private var queue: HelloQueue
  /// Rate limiters, two for each host, at indices that a secret hash picks: a host that shares one
  /// of them with a busy host still has the other. Allocated with the first Hello.
  private var sources: [TokenBucket] = []
  private let salt: Secret

  /// - Parameters:
  ///   - workLimit: items of work on Hellos that may be under way at once.
  ///   - patience: how long a Hello waits for its turn at most.
  init(policy: HelloPolicy, isSilent: Bool, workLimit: Int, patience: Duration, salt: Secret) {
    self.policy = policy
    self.isSilent = isSilent
    self.workLimit = workLimit
    self.salt = salt
    queue = HelloQueue(patience: patience)
  }

  /// The number of Hellos in the queue.
  var waiting: Int { queue.count }
  /// The sources of the Hellos in the queue.
  var waitingSources: some Sequence<Address> { queue.sources }

  /// Decides on a Hello. Charges it if it is to be read now.
  ///
  /// - Parameter issuer: redeems the Hello's answer to a challenge exactly when the Hello joins the
  ///   queue. So an answer that finds no room can be sent again, and a redeemed one gains nothing.
  mutating func admit(
    _ hello: [UInt8], from source: Address, issuer: inout ChallengeIssuer, provider: any CryptoProvider, at now: Instant
  ) -> Verdict {
    let response = ChallengeResponse(hello.rawBytes.extracting(PacketSize.helloWithoutChallenge..<PacketSize.hello))
    var budget: HelloBudget?
    // [CHAL-13]
    switch policy {
    case .allow: return .read(.unlimited)
    case .drop: return .drop(.overBudget)
    case .challenge: break
    case .automatic(let given): budget = given
    }
    // [CHAL-14] [DEC-56]
    let mayChallenge = budget == nil || !isSilent
    // A repeat of a waiting Hello costs no hash. Without challenges, any Hello from its address
    // counts as one.
    // [DEC-58]
    if queue.holds(source), response.isAnswer || !mayChallenge { return .drop(.busy) }
    // [DEC-52]
    if let budget, takeUnchallenged(budget, from: source, provider: provider, at: now) { return .read(.unchallenged) }
    // [DEC-56]
    guard mayChallenge else { return enqueue(hello, from: source, at: now) { true } }
    // [CHAL-7]
    guard response.isAnswer else { return .challenge }
    // [DEC-51]
    return enqueue(hello, from: source, at: now) {
      issuer.redeem(response, from: source, provider: provider, at: now)
    }
  }

  /// Removes the Hello whose turn it is from the queue and charges it. Returns nil if there is no
  /// time for it at `now`.
  mutating func next(at now: Instant) -> HelloQueue.Item? {
    // [DEC-54]
    guard hasRoomForWork, let turn = nextTurn, turn <= now, let item = queue.next() else { return nil }
    charge(HelloBudget.assumedTime, to: .challenged, at: now)
    return item
  }

  /// Removes Hellos that have waited too long.
  ///
  /// - Returns: the number of removed Hellos.
  mutating func expire(at now: Instant) -> Int { queue.expire(at: now) }

  /// True if one more item of work may begin.
  var hasRoomForWork: Bool { work < workLimit }

  /// The time when the first queued Hello expires; nil if none waits.
  var nextExpiry: Instant? { queue.nextExpiry }

  /// The time when a queued Hello can be read or expires; nil if none waits. While the limit of
  /// work is reached, only the expiry counts: the end of an item of work brings the next turn.
  var nextDeadline: Instant? {
    guard let expiry = queue.nextExpiry, hasRoomForWork, let turn = nextTurn else { return queue.nextExpiry }
    return min(expiry, turn)
  }

  /// Counts the beginning of an item of work.
  mutating func workBegan() { work += 1 }

  /// Counts the end of an item of work, done or not.
  mutating func workEnded() { work -= 1 }

  /// Charges time to a budget; a negative time is a refund.
  ///
  /// - Parameter isBody: true for work on an X3 beyond the first of its handshake.
  mutating func charge(_ time: Duration, to allowance: Allowance, isBody: Bool = false, at now: Instant) {
    guard let share = share(of: allowance) else { return }
    change(allowance, isBody: isBody) { budget, divisor in budget.charge(time, share: share / divisor, at: now) }
  }

  /// Refunds time that was charged for work that is not done.
  mutating func refund(_ time: Duration, to allowance: Allowance, isBody: Bool = false) {
    guard let share = share(of: allowance) else { return }
    change(allowance, isBody: isBody) { budget, divisor in budget.refund(time, share: share / divisor) }
  }

  /// Charges for one more X3 of a handshake, if there is time for it.
  ///
  /// - Returns: true if it was charged, or the policy has no budget.
  // [DEC-79]
  mutating func takeBody(_ time: Duration, from allowance: Allowance, at now: Instant) -> Bool {
    guard let share = share(of: allowance) else { return true }
    let bodies = allowance == .unchallenged ? unchallengedBodies : challengedBodies
    guard bodies.admits(share / Self.bodyDivisor, at: now) else { return false }
    charge(time, to: allowance, isBody: true, at: now)
    return true
  }

  private static let bodyDivisor = 4

  /// Changes the budget of an allowance, and with `isBody` that of its X3.
  private mutating func change(
    _ allowance: Allowance, isBody: Bool, change: (inout TimeBudget, _ divisor: Int) -> Void
  ) {
    if allowance == .unchallenged {
      change(&unchallenged, 1)
      if isBody { change(&unchallengedBodies, Self.bodyDivisor) }
    } else {
      change(&challenged, 1)
      if isBody { change(&challengedBodies, Self.bodyDivisor) }
    }
  }

  /// The time per second of an allowance; nil if the policy has no budget for it.
  private func share(of allowance: Allowance) -> Duration? {
    switch allowance {
    case .unlimited: return nil
    case .unchallenged:
      guard case .automatic(let budget) = policy else { return nil }
      return budget.unchallenged
    case .challenged: return turnBudget?.challenged
    }
  }

  /// The budget of queued Hellos; nil if the policy has none.
  private var turnBudget: HelloBudget? {
    switch policy {
    case .allow, .drop: nil
    // [DEC-57]
    case .challenge: HelloBudget()
    case .automatic(let budget): budget
    }
  }

  /// The moment from which there is time for the next queued Hello; nil if never.
  private var nextTurn: Instant? {
    if case .allow = policy { return Instant(nanoseconds: .min) }
    return turnBudget.flatMap { challenged.admission($0.challenged) }
  }

  /// Charges a Hello to the unchallenged budget, if there is time for it and its host is within its
  /// rate limit.
  ///
  /// - Returns: true if it was charged.
  private mutating func takeUnchallenged(
    _ budget: HelloBudget, from source: Address, provider: any CryptoProvider, at now: Instant
  ) -> Bool {
    // [DEC-53]
    guard hasRoomForWork, unchallenged.admits(budget.unchallenged, at: now), budget.perSource > 0 else { return false }
    if sources.isEmpty { sources = Array(repeating: TokenBucket(), count: 2 * Self.columns) }
    let rate = TokenBucket.Rate(perSecond: budget.perSource)
    let taken = places(of: source, provider: provider).map { sources[$0].take(rate, at: now) }
    guard taken.contains(true) else { return false }
    // [DEC-55]
    charge(HelloBudget.assumedTime, to: .unchallenged, at: now)
    return true
  }

  private mutating func enqueue(
    _ hello: [UInt8], from source: Address, at now: Instant, if isEarned: () -> Bool
  ) -> Verdict {
    // [DEC-61]
    guard queue.hasRoom(for: source) else { return .drop(.overBudget) }
    guard isEarned() else { return .challenge }
    return .wait(evicting: queue.append(hello, from: source, at: now))
  }

  /// Returns the indices of a host's two limiters.
  private func places(of source: Address, provider: any CryptoProvider) -> [Int] {
    let bytes = HelloSource(source).host.bytes
    let digest = provider.hash(bytes.rawBytes, salt.bytes)
    let word = digest.bytes.load(UInt32.self, at: 0)
    return [Int(word) % Self.columns, Self.columns + Int(word >> 16) % Self.columns]
  }
}
