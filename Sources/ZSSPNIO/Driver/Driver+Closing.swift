// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Closing that first lets queued messages go out.
extension Driver {
  /// The maximum time that closing waits for a socket that takes nothing.
  private static let patience = Duration.seconds(2)
  /// The interval at which the socket is checked for unsent bytes.
  private static let pause = TimeAmount.milliseconds(1)

  /// Ends a session after its queued messages. The future succeeds when it has ended.
  func closeWhenSent(_ id: SessionID) -> EventLoopFuture<Void> {
    let promise = eventLoop.makePromise(of: Void.self)
    afterSending(until: now.advanced(by: Self.patience), while: { $0.sendQueue.holdsMessages(for: id) }) { driver in
      driver.close(id)
      promise.succeed()
    }
    return promise.futureResult
  }

  /// Ends the endpoint after all queued messages.
  func closeWhenSent() {
    // From here on no new handshake is offered.
    mailboxes.incoming.finish()
    afterSending(until: now.advanced(by: Self.patience), while: { $0.hasUnsent }) { driver in driver.close() }
  }

  /// True if the system has not taken everything yet.
  private var hasUnsent: Bool {
    !sendQueue.isEmpty || socket.port?.hasUnsent == true
  }

  /// Calls `body` when the socket has taken everything, or ``patience`` has passed.
  func whenSent(_ body: @escaping @Sendable (Driver) -> Void) {
    whenSent(until: now.advanced(by: Self.patience), body)
  }

  private func whenSent(until deadline: Instant, _ body: @escaping @Sendable (Driver) -> Void) {
    guard now < deadline, socket.port?.hasUnsent == true else { return body(self) }
    let bound = bound
    eventLoop.scheduleTask(in: Self.pause) { bound.value.whenSent(until: deadline, body) }
  }

  private func afterSending(
    until deadline: Instant, while isWaiting: @escaping @Sendable (Driver) -> Bool,
    then end: @escaping @Sendable (Driver) -> Void
  ) {
    drainSends()
    guard !isClosed, now < deadline, isWaiting(self) else { return end(self) }
    let bound = bound
    eventLoop.scheduleTask(in: Self.pause) { bound.value.afterSending(until: deadline, while: isWaiting, then: end) }
  }
}
