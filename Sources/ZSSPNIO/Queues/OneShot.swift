// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers

/// An outcome that comes once, for the one task that waits for it. Of several who resolve it the first wins, and the
/// others learn that they came too late.
final class OneShot<Value: Sendable>: Sendable {
  private enum State {
    case empty
    case awaited(CheckedContinuation<Value, Never>)
    case resolved(Value)
  }

  private let state = NIOLockedValueBox(State.empty)

  /// Whether there is an outcome.
  var isResolved: Bool {
    state.withLockedValue { state in
      if case .resolved = state { true } else { false }
    }
  }

  /// Sets the outcome unless there is one. Says whether it was this one that counted.
  @discardableResult
  func resolve(_ value: Value) -> Bool {
    let (isFirst, waiter): (Bool, CheckedContinuation<Value, Never>?) = state.withLockedValue { state in
      switch state {
      case .resolved:
        return (false, nil)
      case .awaited(let waiter):
        state = .resolved(value)
        return (true, waiter)
      case .empty:
        state = .resolved(value)
        return (true, nil)
      }
    }
    waiter?.resume(returning: value)
    return isFirst
  }

  /// Waits for the outcome. Only one task may wait. Cancellation is the business of whoever can resolve.
  func value() async -> Value {
    await withCheckedContinuation { continuation in
      let value: Value? = state.withLockedValue { state in
        if case .resolved(let value) = state { return value }
        state = .awaited(continuation)
        return nil
      }
      if let value { continuation.resume(returning: value) }
    }
  }
}
