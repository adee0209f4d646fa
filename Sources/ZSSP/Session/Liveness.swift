// SPDX-License-Identifier: Apache-2.0

/// Whether the peer of an established session is still there (section 14).
///
/// Whatever is authentic shows it, and when it came is all that is recorded for each packet. After a silence the peer is probed with C1,
/// which it must answer with C2. A probe that is not answered is repeated after pauses that double. No session ends before its peer was
/// probed in vain, however late its deadlines are looked at.
///
/// | nothing came for | what is due |
/// |---|---|
/// | ``Settings/keepAlive``, or up to a quarter less | a probe |
/// | ``Settings/idleTimeout`` less ``Settings/resendInterval``, where there is no keep-alive | a probe |
/// | ``Settings/idleTimeout``, and one resend interval since the first probe | the session's end |
struct Liveness {
  /// What is due.
  enum Due {
    case nothing
    case probe
    case end
  }

  /// When to look what is due: nothing is due sooner. Packets do not move it, so there may be nothing yet.
  private(set) var deadline = Instant.distantFuture
  /// When C1 was sent first in the present silence, or the last one in which it was.
  private var firstProbe = Instant.distantFuture
  /// When C1 was sent last.
  private var lastProbe = Instant.distantFuture
  /// Nanoseconds by which this session probes sooner than ``Settings/keepAlive`` says: sessions that began together must not
  /// probe together.
  private var jitter: Int64 = 0
  /// Nanoseconds from a C1 to its C2; nil before there was one.
  private var measured: Int64?
  /// How many C1 were sent since a C2 came; 2 stands for all above.
  private var unanswered: UInt8 = 0
  /// How often the last probe was repeated.
  private var repeats: UInt8 = 0
  /// When something authentic came last, or else when the session was established.
  private(set) var lastReceived = Instant.distantFuture

  /// The time from a C1 to its C2, as measured last.
  var roundTrip: Duration? { measured.map { .nanoseconds($0) } }

  /// The session is established.
  mutating func begin(_ surroundings: Surroundings, at now: Instant) {
    lastReceived = now
    drawJitter(surroundings)
    deadline = nextDeadline(surroundings.settings)
  }

  /// Something authentic came.
  mutating func received(at now: Instant) { lastReceived = now }

  /// C1 is sent.
  mutating func probed(at now: Instant) {
    if !wasProbed { (firstProbe, repeats) = (now, 0) }
    lastProbe = now
    unanswered = min(unanswered + 1, 2)
  }

  /// What a C2 says.
  struct Answer {
    /// Whether it answers a C1.
    let isAnswer: Bool
    /// How long it took; nil where there were several: C2 does not say which it answers.
    let roundTrip: Duration?
  }

  /// C2 came.
  mutating func answered(at now: Instant) -> Answer {
    defer { unanswered = 0 }
    guard unanswered == 1 else { return Answer(isAnswer: unanswered > 0, roundTrip: nil) }
    let roundTrip = lastProbe.duration(to: now)
    measured = roundTrip.nanoseconds
    return Answer(isAnswer: true, roundTrip: roundTrip)
  }

  // [DEC-83]
  /// Looks what is due.
  mutating func due(_ surroundings: Surroundings, at now: Instant) -> Due {
    guard deadline <= now else { return .nothing }
    let settings = surroundings.settings
    if end(settings) <= now { return .end }
    let isDue = nextProbe(settings) <= now
    if isDue {
      repeats = wasProbed ? min(repeats + 1, Self.mostRepeats) : 0
      drawJitter(surroundings)
      // Recorded here too: the probe may come to nothing.
      if !wasProbed { firstProbe = now }
      lastProbe = now
    }
    deadline = nextDeadline(settings)
    return isDue ? .probe : .nothing
  }

  /// Pauses double so often.
  private static let mostRepeats: UInt8 = 16

  /// Whether the peer was probed in the present silence.
  private var wasProbed: Bool { lastProbe != .distantFuture && lastProbe > lastReceived }

  private mutating func drawJitter(_ surroundings: Surroundings) {
    guard let keepAlive = surroundings.settings.keepAlive else { return }
    jitter = Int64(surroundings.provider.randomInteger(UInt64.self) % UInt64(keepAlive.nanoseconds / 4 + 1))
  }

  /// When the next probe is due.
  private func nextProbe(_ settings: Settings) -> Instant {
    if wasProbed {
      guard let keepAlive = settings.keepAlive else { return .distantFuture }
      return lastProbe.advanced(by: min(settings.resendInterval * (1 << Int(repeats)), keepAlive))
    }
    if let keepAlive = settings.keepAlive { return lastReceived.advanced(by: keepAlive - .nanoseconds(jitter)) }
    guard let idleTimeout = settings.idleTimeout else { return .distantFuture }
    return lastReceived.advanced(by: max(.zero, idleTimeout - settings.resendInterval))
  }

  /// When the session ends, if nothing comes: never before a probe has had its time.
  private func end(_ settings: Settings) -> Instant {
    guard let idleTimeout = settings.idleTimeout, wasProbed else { return .distantFuture }
    return max(lastReceived.advanced(by: idleTimeout), firstProbe.advanced(by: settings.resendInterval))
  }

  private func nextDeadline(_ settings: Settings) -> Instant { min(nextProbe(settings), end(settings)) }
}
