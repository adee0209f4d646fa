// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers

/// The fact that an endpoint closes, and why, for tasks that wait for something else.
///
/// | state | entered by |
/// |---|---|
/// | open | the start |
/// | closes for the application | ``close()`` |
/// | closes because its socket failed | ``fail(_:)`` |
final class EndpointClosing: Sendable {
  private struct State {
    var error: UDPError?
    var isRequested = false
    var waiting: [UInt64: @Sendable () -> Void] = [:]
    var lastWaiting: UInt64 = 0
  }

  private let state = NIOLockedValueBox(State())

  /// The error that calls fail with from now on: ``UDPError/closed``, or ``UDPError/transport(_:)``
  /// if the socket failed; nil while the endpoint is open.
  var error: UDPError? { state.withLockedValue { $0.error } }

  /// True if the application has closed the endpoint.
  var isRequested: Bool { state.withLockedValue { $0.isRequested } }

  /// The number of tasks that wait for something else and are woken when the endpoint closes.
  var waiterCount: Int { state.withLockedValue { $0.waiting.count } }

  /// Records that the application closes the endpoint. Returns true the first time.
  func close() -> Bool {
    let isFirst = state.withLockedValue { state in
      defer { state.isRequested = true }
      return !state.isRequested
    }
    end(.closed)
    return isFirst
  }

  /// Records that a socket failed permanently.
  func fail(_ error: UDPError) { end(error) }

  private func end(_ error: UDPError) {
    let waiting = state.withLockedValue { state in
      if state.error == nil { state.error = error }
      defer { state.waiting = [:] }
      return state.waiting.values.map { $0 }
    }
    for body in waiting { body() }
  }

  /// Waits for an outcome, which `close` sets when the endpoint closes, and `cancel` when the task
  /// is cancelled.
  func value<Value>(
    of outcome: Promise<Value>, whenClosed close: @escaping @Sendable () -> Void,
    whenCancelled cancel: @escaping @Sendable () -> Void
  ) async -> Value {
    let name: UInt64? = state.withLockedValue { state in
      guard state.error == nil else { return nil }
      state.lastWaiting += 1
      state.waiting[state.lastWaiting] = close
      return state.lastWaiting
    }
    if name == nil { close() }
    let value = await withTaskCancellationHandler {
      await outcome.value()
    } onCancel: {
      cancel()
    }
    if let name { state.withLockedValue { $0.waiting[name] = nil } }
    return value
  }
}
