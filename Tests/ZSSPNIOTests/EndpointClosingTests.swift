// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSPNIO

/// The waits of tasks end with the endpoint.
@Suite(.tags(.fast), .timeLimit(.minutes(5)))
struct EndpointClosingTests {
  /// The end of a task's wait.
  private enum End { case closed, cancelled, forgotten }

  private let closing = EndpointClosing()
  private let outcome = Promise<End>()

  /// Starts a task that waits, and returns when it does.
  private func waitingTask() async -> Task<End, Never> {
    let task = Task { [closing, outcome] in
      await closing.value(
        of: outcome, whenClosed: { outcome.resolve(.closed) }, whenCancelled: { outcome.resolve(.cancelled) })
    }
    while closing.waiterCount == 0 { await Task.yield() }
    return task
  }

  /// The wait has ended when the call that closes the endpoint returns.
  @Test(arguments: [false, true]) func closingEndsWaits(socketFails: Bool) async {
    let task = await waitingTask()
    if socketFails { closing.fail(.transport("gone")) } else { _ = closing.close() }
    #expect(closing.error == (socketFails ? .transport("gone") : .closed))
    #expect(outcome.isResolved)
    // Ends the task if nothing else has.
    outcome.resolve(.forgotten)
    #expect(await task.value == .closed)
  }

  @Test func aClosedEndpointIsNotWaitedFor() async {
    #expect(closing.close() && !closing.close() && closing.isRequested)
    let end = await closing.value(
      of: outcome, whenClosed: { [outcome] in outcome.resolve(.closed) }, whenCancelled: {})
    #expect(end == .closed && closing.waiterCount == 0)
  }

  /// A task that has its outcome, or is cancelled, leaves nothing behind.
  @Test(arguments: [false, true]) func waitsAreForgotten(isCancelled: Bool) async {
    let task = await waitingTask()
    if isCancelled { task.cancel() } else { outcome.resolve(.forgotten) }
    #expect(await task.value == (isCancelled ? .cancelled : .forgotten))
    #expect(closing.waiterCount == 0)
  }
}
