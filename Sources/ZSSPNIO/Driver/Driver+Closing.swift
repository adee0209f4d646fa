// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Ends that let what was queued before go out first.
extension Driver {
  /// A socket that takes nothing for this long does not keep an end waiting.
  private static let patience = Duration.seconds(2)
  /// How often to look whether the socket has taken everything.
  private static let pause = TimeAmount.milliseconds(1)

  /// Ends a session after what was queued for it. The future succeeds when it has ended.
  func closeWhenSent(_ id: SessionID) -> EventLoopFuture<Void> {
    let promise = eventLoop.makePromise(of: Void.self)
    afterSending(until: now.advanced(by: Self.patience), { $0.sendQueue.holdsMessages(for: id) }) { driver in
      driver.close(id)
      promise.succeed()
    }
    return promise.futureResult
  }

  /// Ends everything after what was queued.
  func closeWhenSent() {
    // From now on nothing new begins.
    mailboxes.incoming.finish()
    afterSending(until: now.advanced(by: Self.patience), { $0.hasUnsent }) { driver in driver.close() }
  }

  /// Whether there is something that the system has not taken yet.
  private var hasUnsent: Bool {
    !sendQueue.isEmpty || socket.port?.hasUnsent == true
  }

  /// Calls `body` when the socket has taken everything, or takes nothing for too long.
  func whenSent(_ body: @escaping @Sendable (Driver) -> Void) {
    whenSent(until: now.advanced(by: Self.patience), body)
  }

  private func whenSent(until deadline: Instant, _ body: @escaping @Sendable (Driver) -> Void) {
    guard now < deadline, socket.port?.hasUnsent == true else { return body(self) }
    let bound = bound
    eventLoop.scheduleTask(in: Self.pause) { bound.value.whenSent(until: deadline, body) }
  }

  private func afterSending(
    until deadline: Instant, _ isWaiting: @escaping @Sendable (Driver) -> Bool,
    _ end: @escaping @Sendable (Driver) -> Void
  ) {
    drainSends()
    guard !isClosed, now < deadline, isWaiting(self) else { return end(self) }
    let bound = bound
    eventLoop.scheduleTask(in: Self.pause) { bound.value.afterSending(until: deadline, isWaiting, end) }
  }
}
