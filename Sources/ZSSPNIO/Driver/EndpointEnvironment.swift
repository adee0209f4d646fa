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
  package let handshakes = HandshakeObserver()

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

/// Tells one observer how handshakes went.
package final class HandshakeObserver: Sendable {
  private let observer = NIOLockedValueBox<(@Sendable (HandshakeRecord) -> Void)?>(nil)

  /// Has `observer` called after each handshake, on any thread; nil for nobody.
  package func set(_ observer: (@Sendable (HandshakeRecord) -> Void)?) {
    self.observer.withLockedValue { $0 = observer }
  }

  /// A handshake is over.
  func record(_ role: Role, _ duration: Duration, isEstablished: Bool) {
    observer.withLockedValue { $0 }?(
      HandshakeRecord(role: role, duration: duration, isEstablished: isEstablished))
  }
}
