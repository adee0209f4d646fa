// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers

/// The time of a ``TestNetwork`` as a clock, for code that takes one: it sleeps until a test advances the time.
public struct TestClock: Clock {
  /// A moment, counted from when the network was made.
  public struct Instant: InstantProtocol {
    /// The time since the network was made.
    public let offset: Duration

    /// A later moment, or an earlier one.
    public func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }

    /// The time from this moment to another.
    public func duration(to other: Instant) -> Duration { other.offset - offset }

    /// Whether one moment is before another.
    public static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
  }

  let network: TestNetwork

  /// The present moment.
  public var now: Instant { Instant(offset: network.now) }

  /// What sleeping is exact to.
  public var minimumResolution: Duration { .nanoseconds(1) }

  /// Sleeps until the network's time has come to `deadline`. The tolerance does not count.
  ///
  /// - Throws: `CancellationError` if the task is cancelled.
  public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
    try Task.checkCancellation()
    let stream = AsyncStream<Void>.makeStream()
    let timer = network.eventLoop.scheduleTask(
      deadline: .uptimeNanoseconds(UInt64(clamping: deadline.offset.inNanoseconds))
    ) { stream.continuation.finish() }
    // It ends when the timer fires, and when the task is cancelled.
    for await _ in stream.stream {}
    timer.cancel()
    try Task.checkCancellation()
  }
}
