// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Fires at the earliest of deadlines that change all the time. Used on its event loop only.
///
/// A timer that is too early stays: when it fires, its owner finds nothing to do and sets the next
/// deadline. That is cheaper than moving the timer with every packet.
final class DeadlineTimer {
  private let eventLoop: any EventLoop
  private let fire: @Sendable () -> Void
  private var scheduled: Scheduled<Void>?
  private var deadline = Instant.distantFuture

  /// A timer that calls `fire` on `eventLoop`.
  init(on eventLoop: any EventLoop, _ fire: @escaping @Sendable () -> Void) {
    self.eventLoop = eventLoop
    self.fire = fire
  }

  /// Fires at `next` at the latest; nil asks for nothing.
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

  /// Does not fire any more until the next deadline is set.
  func cancel() {
    scheduled?.cancel()
    scheduled = nil
    deadline = .distantFuture
  }
}
