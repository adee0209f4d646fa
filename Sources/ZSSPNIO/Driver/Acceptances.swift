// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Incoming handshakes that were offered to the application.
///
/// | a handshake is | entered by | left by |
/// |---|---|---|
/// | offered | ``offer(_:_:)`` | ``accept(_:for:)``, ``reject(_:)``, ``end(_:)`` |
/// | accepted | ``accept(_:for:)`` | ``end(_:)``: its session is established, or the handshake failed |
struct Acceptances {
  /// The state of a handshake when it ended.
  enum Ended {
    /// The handshake waited for a decision.
    case offered(AcceptRequest)
    /// The application accepted it, and waits for the outcome.
    case accepted(SessionOutcome)
  }

  private var states: [RequestID: Ended] = [:]

  /// Adds a handshake that waits for a decision.
  mutating func offer(_ id: RequestID, _ request: AcceptRequest) { states[id] = .offered(request) }

  /// Records that a handshake is accepted.
  ///
  /// - Returns: False if it does not wait for a decision.
  mutating func accept(_ id: RequestID, for outcome: SessionOutcome) -> Bool {
    guard case .offered? = states[id] else { return false }
    states[id] = .accepted(outcome)
    return true
  }

  /// Records that a handshake is rejected.
  ///
  /// - Returns: The request; nil if it does not wait for a decision.
  mutating func reject(_ id: RequestID) -> AcceptRequest? {
    guard case .offered(let request)? = states[id] else { return nil }
    states[id] = nil
    return request
  }

  /// Removes a handshake, and returns its last state; nil if it is unknown.
  mutating func end(_ id: RequestID) -> Ended? { states.removeValue(forKey: id) }

  /// Returns the handshake whose acceptance waits for `outcome`; nil if none.
  func accepted(for outcome: SessionOutcome) -> RequestID? {
    states.first { state in
      if case .accepted(let own) = state.value { own === outcome } else { false }
    }?.key
  }

  /// Removes all handshakes, and fails the outcomes of accepted ones with `error`.
  mutating func failAll(_ error: UDPError) {
    for case .accepted(let outcome) in states.values { outcome.resolve(.failure(error)) }
    states = [:]
  }
}
