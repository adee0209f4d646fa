// SPDX-License-Identifier: Apache-2.0

/// Whether the peer of an established session is still there (section 14).
///
/// Whatever is authentic shows it, and when it came is all that is recorded for each packet. After a silence it is probed with C1,
/// which it must answer with C2. A probe that is not answered is repeated after pauses that double.
///
/// | nothing came for | what is due |
/// |---|---|
/// | ``Settings/keepAlive``, or up to a quarter less | a probe |
/// | ``Settings/idleTimeout`` | the session's end |
struct Liveness {
  /// What is due.
  enum Due {
    case nothing
    case probe
    case end
  }

  /// When to look what is due: nothing is due sooner. Packets do not move it, so there may be nothing yet.
  private(set) var deadline = Instant.distantFuture
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
    lastProbe = now
    unanswered = min(unanswered + 1, 2)
  }

  /// C2 came.
  ///
  /// - Returns: whether it answers a C1. The time is measured where there was only one: C2 does not say which it answers.
  mutating func answered(at now: Instant) -> Bool {
    defer { unanswered = 0 }
    if unanswered == 1 { measured = lastProbe.duration(to: now).nanoseconds }
    return unanswered > 0
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
    guard let keepAlive = settings.keepAlive else { return .distantFuture }
    guard wasProbed else { return lastReceived.advanced(by: keepAlive - .nanoseconds(jitter)) }
    return lastProbe.advanced(by: min(settings.resendInterval * (1 << Int(repeats)), keepAlive))
  }

  /// When the session ends, if nothing comes.
  private func end(_ settings: Settings) -> Instant {
    settings.idleTimeout.map { lastReceived.advanced(by: $0) } ?? .distantFuture
  }

  private func nextDeadline(_ settings: Settings) -> Instant { min(nextProbe(settings), end(settings)) }
}
