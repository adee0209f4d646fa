// SPDX-License-Identifier: Apache-2.0

/// The timing of a ``ReconnectingSession``.
public struct ReconnectOptions: Sendable, Hashable {
  /// The duration of one attempt, for all addresses of a name together, before the name is resolved
  /// again. The default is 30 s.
  public var attemptTimeout: Duration = .seconds(30)
  /// The pause after the first failure, or after a session that has worked. It doubles with each
  /// failure in a row, and is drawn at random from the upper half of its bound. The default is 500
  /// ms.
  public var shortestPause: Duration = .milliseconds(500)
  /// The longest pause. The default is 30 s.
  public var longestPause: Duration = .seconds(30)
  /// The time that a session must last to count as working, after which the pause is the shortest
  /// again. One that ends sooner counts as a failure. The default is 30 s.
  public var provingTime: Duration = .seconds(30)
  /// The time without an answer to a message or a probe until the session counts as lost and
  /// another is opened. The default is 3.5 s. After a second about 16 probes are sent, so that a
  /// path that loses packets ends no session. Round trips must be shorter than this time. Nil
  /// leaves the detection to ``UDPOptions/idleTimeout``.
  ///
  /// When a server is away for longer, each of its clients opens another session, at the pace that
  /// the server's ``/ZSSP/HelloBudget`` allows. With very many clients, raise the budget, or this
  /// time.
  public var silenceLimit: Duration? = .milliseconds(3500)
  /// The time without anything received after which the peer is probed although nothing is sent to
  /// it, less up to a quarter, which is drawn for each session. The default is 1.5 s: with
  /// ``silenceLimit`` and ``shortestPause``, a peer that was killed and restarted has another
  /// session within six seconds. A probe and its answer are datagrams of
  /// 32 bytes each. Nil saves them: then only messages that are sent discover the loss within
  /// ``silenceLimit``, and a session on which nothing is sent is covered by
  /// ``UDPOptions/keepAlive`` and ``UDPOptions/idleTimeout``. Without ``silenceLimit`` it has no
  /// effect.
  public var idleProbe: Duration? = .milliseconds(1500)

  /// The defaults.
  public init() {}
}

/// The pauses between attempts. Each is drawn from the upper half of its bound, so that clients
/// that lost their server at the same moment do not return at the same moment.
struct Backoff {
  private let options: ReconnectOptions
  private var failures = 0

  init(_ options: ReconnectOptions) { self.options = options }

  /// Called after a session that has worked.
  mutating func reset() { failures = 0 }

  /// Returns the next pause, and doubles its bound.
  mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
    let longest = max(.zero, options.longestPause)
    var bound = min(max(.zero, options.shortestPause), longest)
    // Doubled in steps: a shift of a duration could overflow.
    for _ in 0..<min(failures, 62) where bound < longest { bound = min(bound * 2, longest) }
    failures += 1
    let pause = bound * Double.random(in: 0.5...1, using: &generator)
    // Whole milliseconds, as people read them. A very long pause could overflow an integer.
    return pause < .seconds(86_400) ? .milliseconds(Int64(pause / .milliseconds(1))) : pause
  }
}
