// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers

/// An outcome that is set once, for the one task that waits for it. The first call of
/// ``resolve(_:)`` wins; later ones return false.
final class Promise<Value: Sendable>: Sendable {
  private enum State {
    case empty
    case awaited(CheckedContinuation<Value, Never>)
    case resolved(Value)
  }

  private let state = NIOLockedValueBox(State.empty)

  /// True if the outcome is set.
  var isResolved: Bool {
    state.withLockedValue { state in
      if case .resolved = state { true } else { false }
    }
  }

  /// Sets the outcome unless it is set, and returns true if this call set it.
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

  /// Waits for the outcome. Only one task may wait. Cancellation does not end the wait: its handler
  /// must resolve.
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
