// SPDX-License-Identifier: Apache-2.0

/// The check that the peer of an established session is still reachable (section 14).
///
/// Every authentic packet shows that it is, and only the time of the last one is recorded. After a
/// silence the peer is probed with C1, which it must answer with C2. An unanswered probe is
/// repeated after pauses that double. A session never ends before a probe went unanswered, however
/// late its deadlines are processed.
///
/// | nothing received for | what is due |
/// |---|---|
/// | ``Settings/keepAlive``, or up to a quarter less | a probe |
/// | ``Settings/idleTimeout`` less three ``Settings/resendInterval``s, without a keep-alive | a probe |
/// | ``Settings/idleTimeout``, and one resend interval since the first probe | the session's end |
struct Liveness {
  /// The action that is due.
  enum Due {
    case nothing
    case probe
    case end
  }

  /// The earliest time at which something can be due. Packets do not move it, so nothing may be due
  /// yet.
  private(set) var deadline = Instant.distantFuture
  /// The time when C1 was first sent in the present silence, or in the last one with a probe.
  private var firstProbe = Instant.distantFuture
  /// The time when C1 was last sent.
  private var lastProbe = Instant.distantFuture
  /// Nanoseconds by which this session probes earlier than ``Settings/keepAlive``, so that sessions
  /// that began together do not probe together.
  private var jitter: Int64 = 0
  /// Nanoseconds from a C1 to its C2; nil before the first.
  private var measured: Int64?
  /// The number of C1 since the last C2; 2 stands for all larger numbers.
  private var unanswered: UInt8 = 0
  /// The number of repetitions of the last probe.
  private var repeats: UInt8 = 0
  /// The time when the last authentic packet arrived, or else when the session was established.
  private(set) var lastReceived = Instant.distantFuture

  /// The last measured time from a C1 to its C2.
  var roundTrip: Duration? { measured.map { .nanoseconds($0) } }

  /// Starts the check when the session is established.
  mutating func begin(in surroundings: Surroundings, at now: Instant) {
    lastReceived = now
    drawJitter(in: surroundings)
    deadline = nextDeadline(surroundings.settings)
  }

  /// Records that an authentic packet arrived.
  mutating func received(at now: Instant) { lastReceived = now }

  /// Records that C1 is sent.
  mutating func probed(at now: Instant) {
    if !wasProbed {
      firstProbe = now
      repeats = 0
    }
    lastProbe = now
    unanswered = min(unanswered + 1, 2)
  }

  /// The meaning of a C2.
  struct Answer {
    /// True if it answers a C1.
    let isAnswer: Bool
    /// The round-trip time; nil if several C1 were sent, because C2 does not say which one it
    /// answers.
    let roundTrip: Duration?
  }

  /// Records that C2 arrived.
  mutating func answered(at now: Instant) -> Answer {
    defer { unanswered = 0 }
    guard unanswered == 1 else { return Answer(isAnswer: unanswered > 0, roundTrip: nil) }
    let roundTrip = lastProbe.duration(to: now)
    measured = roundTrip.nanoseconds
    return Answer(isAnswer: true, roundTrip: roundTrip)
  }

  // [DEC-83]
  /// Returns the action that is due, and sets the next deadline.
  mutating func due(in surroundings: Surroundings, at now: Instant) -> Due {
    guard deadline <= now else { return .nothing }
    let settings = surroundings.settings
    if end(settings) <= now { return .end }
    let isDue = nextProbe(settings) <= now
    if isDue {
      repeats = wasProbed ? min(repeats + 1, Self.mostRepeats) : 0
      drawJitter(in: surroundings)
      // Recorded here too, because the probe may not be sent.
      if !wasProbed { firstProbe = now }
      lastProbe = now
    }
    deadline = nextDeadline(settings)
    return isDue ? .probe : .nothing
  }

  /// The largest number of times that the pause doubles.
  private static let mostRepeats: UInt8 = 16

  /// True if the peer was probed in the present silence.
  private var wasProbed: Bool { lastProbe != .distantFuture && lastProbe > lastReceived }

  private mutating func drawJitter(in surroundings: Surroundings) {
    guard let keepAlive = surroundings.settings.keepAlive else { return }
    jitter = Int64(surroundings.provider.randomInteger(UInt64.self) % UInt64(keepAlive.nanoseconds / 4 + 1))
  }

  /// Returns the time of the next probe.
  private func nextProbe(_ settings: Settings) -> Instant {
    if let keepAlive = settings.keepAlive {
      guard wasProbed else { return lastReceived.advanced(by: keepAlive - .nanoseconds(jitter)) }
      return lastProbe.advanced(by: min(settings.resendInterval * (1 << Int(repeats)), keepAlive))
    }
    guard let idleTimeout = settings.idleTimeout else { return .distantFuture }
    // Early enough for three, because one may get lost.
    let first = lastReceived.advanced(by: max(idleTimeout - settings.resendInterval * 3, idleTimeout / 2))
    return wasProbed ? max(first, lastProbe.advanced(by: settings.resendInterval)) : first
  }

  /// Returns the time when the session ends without further packets, never before a probe had time
  /// for an answer.
  private func end(_ settings: Settings) -> Instant {
    guard let idleTimeout = settings.idleTimeout, wasProbed else { return .distantFuture }
    return max(lastReceived.advanced(by: idleTimeout), firstProbe.advanced(by: settings.resendInterval))
  }

  private func nextDeadline(_ settings: Settings) -> Instant { min(nextProbe(settings), end(settings)) }
}
