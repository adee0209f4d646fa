// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
package import ZSSP

/// Everything that an endpoint uses besides its socket, store and event loops.
package struct EndpointEnvironment: Sendable {
  /// Resolves names.
  package var resolver = NameResolver.system
  /// The log; nil for none.
  package var log: EndpointLog?
  /// True if ``ReachProbe`` may examine addresses that do not answer.
  package var probes = true
  /// The receiver of a record of each handshake that the application waited for.
  package let handshakes = Observer<HandshakeRecord>()
  /// The counts of the same handshakes.
  let handshakeCounts = NIOLockedValueBox(HandshakeStatistics())
  /// The receiver of the round-trip times of probes.
  package let roundTrips = Observer<Duration>()
  /// The fact that the endpoint closes, and why.
  let closing = EndpointClosing()

  /// Uses the system's resolver, and no log.
  package init() {}
}

/// The record of a handshake that the application waited for.
package struct HandshakeRecord: Sendable {
  /// The side of this endpoint.
  package let role: Role
  /// The time from the call that began or accepted the handshake to its end.
  package let duration: Duration
  /// The end.
  package let outcome: HandshakeStatistics.Outcome
  /// True if a session was established.
  package var isEstablished: Bool { outcome == .established }
}

extension EndpointEnvironment {
  /// Counts a handshake, and forwards its record.
  func record(_ handshake: HandshakeRecord) {
    handshakeCounts.withLockedValue { $0.record(handshake) }
    handshakes.record(handshake)
  }
}

/// Forwards measurements to at most one observer.
package final class Observer<Record>: Sendable {
  private struct State {
    var observer: (@Sendable (Record) -> Void)?
    /// The number of observers so far. The newest receives the records.
    var count: UInt64 = 0
  }

  private let state = NIOLockedValueBox(State())

  /// Sets the function that is called with each record, on any thread, in place of the last one.
  ///
  /// - Returns: The name of the observer, for ``remove(_:)``.
  package func set(_ observer: @escaping @Sendable (Record) -> Void) -> UInt64 {
    state.withLockedValue { state in
      state.count += 1
      state.observer = observer
      return state.count
    }
  }

  /// Removes an observer, unless another has taken its place.
  package func remove(_ name: UInt64) {
    state.withLockedValue { if $0.count == name { $0.observer = nil } }
  }

  /// Forwards a measurement.
  func record(_ record: Record) { state.withLockedValue { $0.observer }?(record) }
}
