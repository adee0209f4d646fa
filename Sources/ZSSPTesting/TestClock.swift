// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers

/// The time of a ``TestNetwork`` as a clock. Sleeping lasts until a test advances the time.
public struct TestClock: Clock {
  /// A moment, counted from the creation of the network.
  public struct Instant: InstantProtocol {
    /// The time since the network was created.
    public let offset: Duration

    /// Returns a later or earlier moment.
    public func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }

    /// Returns the time from this moment to another.
    public func duration(to other: Instant) -> Duration { other.offset - offset }

    /// Returns true if the first moment is earlier.
    public static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
  }

  let network: TestNetwork

  /// The current moment.
  public var now: Instant { Instant(offset: network.now) }

  /// The resolution: 1 ns.
  public var minimumResolution: Duration { .nanoseconds(1) }

  /// Sleeps until the network's time reaches `deadline`. The tolerance is ignored.
  ///
  /// - Throws: `CancellationError` if the task is cancelled.
  public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
    try Task.checkCancellation()
    let stream = AsyncStream<Void>.makeStream()
    let timer = network.eventLoop.scheduleTask(
      deadline: .uptimeNanoseconds(UInt64(clamping: deadline.offset.inNanoseconds))
    ) { stream.continuation.finish() }
    // The stream ends when the timer fires or the task is cancelled.
    for await _ in stream.stream {}
    timer.cancel()
    try Task.checkCancellation()
  }
}
