// SPDX-License-Identifier: Apache-2.0

/// When and how a ``ReconnectingSession`` tries again.
public struct ReconnectOptions: Sendable, Hashable {
  /// How long one attempt lasts before the name is resolved anew. The default is 30 s. All addresses of the name share it.
  public var attemptTimeout: Duration = .seconds(30)
  /// The pause after the first failure, or after a session that has worked. It doubles with each failure in a row, and is drawn
  /// at random from the upper half of that. The default is 500 ms.
  public var shortestPause: Duration = .milliseconds(500)
  /// The longest pause. The default is 30 s.
  public var longestPause: Duration = .seconds(30)
  /// A session that lasted this long has worked: the pause after it is the shortest again. The default is 30 s. One that
  /// ends sooner counts as a failure.
  public var provingTime: Duration = .seconds(30)
  /// How long messages may go without anything coming back, probes included, until the session counts as lost and another is opened. So
  /// a peer that was killed and started again is met within some seconds while something is sent to it. The default is 4 s. Nil leaves
  /// it to ``UDPOptions/idleTimeout``, as a session is on which nothing is sent.
  public var silenceLimit: Duration? = .seconds(4)

  /// The defaults.
  public init() {}
}

/// The pauses between attempts. Each is drawn from the upper half of its bound, so that clients that lost their server in
/// the same moment do not come back in the same moment.
struct Backoff {
  private let options: ReconnectOptions
  private var failures = 0

  init(_ options: ReconnectOptions) { self.options = options }

  /// A session has worked.
  mutating func reset() { failures = 0 }

  /// Returns the next pause.
  mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
    let longest = max(.zero, options.longestPause)
    var bound = min(max(.zero, options.shortestPause), longest)
    // Doubled in steps: a shift of a duration could overflow.
    for _ in 0..<min(failures, 62) where bound < longest { bound = min(bound * 2, longest) }
    failures += 1
    return bound * Double.random(in: 0.5...1, using: &generator)
  }
}
