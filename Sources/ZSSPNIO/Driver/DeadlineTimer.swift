// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// A timer for the earliest of frequently changing deadlines. Used on its event loop only.
///
/// A timer that is too early is not moved: when it fires, its owner finds nothing to do and sets
/// the next deadline. That is cheaper than moving the timer with every packet.
final class DeadlineTimer {
  private let eventLoop: any EventLoop
  private let fire: @Sendable () -> Void
  private var scheduled: Scheduled<Void>?
  private var deadline = Instant.distantFuture

  /// Makes a timer that calls `fire` on `eventLoop`.
  init(on eventLoop: any EventLoop, _ fire: @escaping @Sendable () -> Void) {
    self.eventLoop = eventLoop
    self.fire = fire
  }

  /// Makes the timer fire at `next` at the latest. Nil changes nothing.
  func set(to next: Instant?) {
    guard let next, next < deadline else { return }
    scheduled?.cancel()
    deadline = next
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    scheduled = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(clamping: next.nanoseconds))) {
      bound.value.cancel()
      bound.value.fire()
    }
  }

  /// Disarms the timer until the next deadline is set.
  func cancel() {
    scheduled?.cancel()
    scheduled = nil
    deadline = .distantFuture
  }
}
