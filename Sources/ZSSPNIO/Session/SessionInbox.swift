// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import ZSSP

/// What the event loop has for the reader of one session. It is there before the application has the ``Session``, so
/// that nothing which comes early is lost.
final class SessionInbox: Sendable {
  let messages: Mailbox<[UInt8]>
  let events: Mailbox<Event>
  private let reason = NIOLockedValueBox<EndReason?>(nil)
  private let currentAddress = NIOLockedValueBox<Address?>(nil)

  init(_ options: UDPOptions) {
    messages = Mailbox(
      .dropOldest, countLimit: options.messageBuffer, weightLimit: options.messageBufferBytes, weigh: \.count)
    events = Mailbox(.dropOldest, countLimit: options.eventBuffer)
  }

  /// Why the session ended, once it has.
  var endReason: EndReason? { reason.withLockedValue { $0 } }

  /// Where the peer is now, if it has moved since the session was established.
  var address: Address? { currentAddress.withLockedValue { $0 } }

  /// The peer has moved.
  func move(to address: Address) { currentAddress.withLockedValue { $0 = address } }

  /// The session has ended. What has come so far can still be read. Whoever reads of the end finds its reason set.
  func finish(_ reason: EndReason, _ last: Event) {
    self.reason.withLockedValue { $0 = reason }
    events.append(last)
    messages.finish()
    events.finish()
  }
}

/// What the event loop hands out when a session is established.
struct EstablishedSession: Sendable {
  let shard: Int
  let id: SessionID
  let establishment: Establishment
  let inbox: SessionInbox
}

/// How an attempt to get a session comes out.
typealias SessionOutcome = OneShot<Result<EstablishedSession, UDPError>>
