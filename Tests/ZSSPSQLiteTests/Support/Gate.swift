// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Synchronization

/// Holds back the first who comes until it is opened.
final class Gate: Sendable {
  private let state = Mutex((passed: 0, isOpen: false))
  private let opened = DispatchSemaphore(value: 0)

  /// Blocks the first caller until ``open()`` is called. Returns at once for all others.
  func pass() {
    let isFirst = state.withLock { state in
      state.passed += 1
      return state.passed == 1 && !state.isOpen
    }
    if isFirst { opened.wait() }
  }

  /// True if a caller has come.
  var isReached: Bool { state.withLock { $0.passed > 0 } }

  /// Lets the first go on.
  func open() {
    state.withLock { $0.isOpen = true }
    opened.signal()
  }
}
