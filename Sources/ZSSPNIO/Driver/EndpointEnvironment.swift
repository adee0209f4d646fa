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
  /// Receives a record of each handshake that the application waited for.
  package let handshakes = Observer<HandshakeRecord>()
  /// Receives the round-trip times of probes.
  package let roundTrips = Observer<Duration>()

  /// Uses the system's resolver, and no log.
  package init() {}
}

/// The record of a handshake that the application waited for.
package struct HandshakeRecord: Sendable {
  /// The side of this endpoint.
  package let role: Role
  /// The time from the call that began or accepted the handshake to its end.
  package let duration: Duration
  /// True if a session was established.
  package let isEstablished: Bool
}

/// Forwards measurements to at most one observer.
package final class Observer<Record>: Sendable {
  private let observer = NIOLockedValueBox<(@Sendable (Record) -> Void)?>(nil)

  /// Sets the function that is called with each record, on any thread; nil removes it.
  package func set(_ observer: (@Sendable (Record) -> Void)?) {
    self.observer.withLockedValue { $0 = observer }
  }

  /// Forwards a measurement.
  func record(_ record: Record) { observer.withLockedValue { $0 }?(record) }
}
