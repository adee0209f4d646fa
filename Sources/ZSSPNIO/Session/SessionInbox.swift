// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import ZSSP

/// The queues from the event loop to the reader of one session. They exist before the application
/// has the ``Session``, so that early messages are not lost.
final class SessionInbox: Sendable {
  let messages: BoundedAsyncQueue<[UInt8]>
  let events: BoundedAsyncQueue<Event>

  private struct State {
    var reason: EndReason?
    var address: Address?
    var isEstablished = false
    var peer: PublicKey?
  }

  private let state = NIOLockedValueBox(State())

  init(_ options: UDPOptions) {
    messages = BoundedAsyncQueue(
      .dropOldest, countLimit: options.messageBuffer, weightLimit: options.messageBufferBytes, weigh: \.count)
    events = BoundedAsyncQueue(.dropOldest, countLimit: options.eventBuffer)
  }

  /// The reason why the session ended; nil while it lasts.
  var endReason: EndReason? { state.withLockedValue { $0.reason } }

  /// The peer's current address; nil until it has moved.
  var address: Address? { state.withLockedValue { $0.address } }

  /// True after ``setEstablished()``, also when the session has ended.
  var isEstablished: Bool { state.withLockedValue { $0.isEstablished } }

  /// The peer's static key; nil until it is known.
  var peer: PublicKey? { state.withLockedValue { $0.peer } }

  /// Records the peer, before the session is established.
  func setPeer(_ peer: PublicKey) { state.withLockedValue { $0.peer = peer } }

  /// Records that the session is established.
  func setEstablished() { state.withLockedValue { $0.isEstablished = true } }

  /// Records that the peer has moved.
  func move(to address: Address) { state.withLockedValue { $0.address = address } }

  /// Ends the queues. What they hold can still be read. A reader that sees the end finds the reason
  /// set.
  func finish(_ reason: EndReason, last: Event) {
    state.withLockedValue { $0.reason = reason }
    events.append(last)
    messages.finish()
    events.finish()
  }
}

/// The event loop's record of an established session.
struct EstablishedSession: Sendable {
  let shard: Int
  let id: SessionID
  let establishment: Establishment
  let inbox: SessionInbox
}

/// The outcome of an attempt to establish a session.
typealias SessionOutcome = Promise<Result<EstablishedSession, UDPError>>
