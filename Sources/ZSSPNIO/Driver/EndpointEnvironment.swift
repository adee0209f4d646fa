// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
package import ZSSP

/// What an endpoint uses beside its socket, its store and its event loops.
package struct EndpointEnvironment: Sendable {
  /// Looks names up.
  package var resolver = NameResolver.system
  /// Where the endpoint logs; nowhere if nil.
  package var log: EndpointLog?
  /// Whether the network may be asked about addresses that do not answer; see ``ReachProbe``.
  package var probes = true
  /// Learns how handshakes went.
  package let handshakes = Observer<HandshakeRecord>()
  /// Learns how long probes of peers took to be answered.
  package let roundTrips = Observer<Duration>()

  /// The system's resolver, and no log.
  package init() {}
}

/// How a handshake went that the application waited for.
package struct HandshakeRecord: Sendable {
  /// Which side this was.
  package let role: Role
  /// From the call that began or accepted it to its end.
  package let duration: Duration
  /// Whether a session came of it.
  package let isEstablished: Bool
}

/// Tells one observer of something that is measured now and then.
package final class Observer<Record>: Sendable {
  private let observer = NIOLockedValueBox<(@Sendable (Record) -> Void)?>(nil)

  /// Has `observer` called with each record, on any thread; nil for nobody.
  package func set(_ observer: (@Sendable (Record) -> Void)?) {
    self.observer.withLockedValue { $0 = observer }
  }

  /// Something was measured.
  func record(_ record: Record) { observer.withLockedValue { $0 }?(record) }
}
