// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The inboxes of all sessions, and the messages of the present burst of reads on their way there.
/// Used on its event loop only.
///
/// Neighbouring messages of one session are delivered together, so that its reader's lock is taken
/// once for all of them.
final class SessionInboxes {
  /// Messages that were dropped because the reader of a session was slow.
  private(set) var dropped: UInt64 = 0

  private let options: UDPOptions
  private var inboxes: [SessionID: SessionInbox] = [:]
  /// Who takes the messages of a session where they lie.
  private var handlers: [SessionID: any MessageHandler] = [:]

  /// The session whose messages came last, and its handler.
  private var session: SessionID?
  private var handler: (any MessageHandler)?
  /// Messages of that session, if it has no handler.
  private var messages: [[UInt8]] = []

  init(_ options: UDPOptions) { self.options = options }

  /// The sessions that have an inbox.
  var sessions: [SessionID] { Array(inboxes.keys) }

  /// The inbox of a session. A responder's session is first heard of by its first event.
  func inbox(of id: SessionID) -> SessionInbox {
    if let inbox = inboxes[id] { return inbox }
    let inbox = SessionInbox(options)
    inboxes[id] = inbox
    return inbox
  }

  /// Takes a message of the burst.
  ///
  /// - Parameters:
  ///   - datagrams: where the message lies, unless it was assembled.
  ///   - trafficClass: the class that its last datagram came with; 0 if that is not known.
  func append(_ delivery: Delivery, of datagrams: RawSpan, _ trafficClass: UInt8 = 0) {
    if session != delivery.session {
      endBurst()
      session = delivery.session
      handler = handlers[delivery.session]
    }
    switch (handler, delivery.assembled) {
    case (let handler?, let message?): handler.receive(message.span.bytes, trafficClass: trafficClass)
    case (let handler?, nil): handler.receive(datagrams.extracting(delivery.range), trafficClass: trafficClass)
    case (nil, let message?): messages.append(message)
    case (nil, nil): messages.append(Array(datagrams.extracting(delivery.range)))
    }
  }

  /// Delivers the messages that were gathered.
  func endBurst() {
    guard let id = session.take() else { return }
    if let handler = handler.take() { return handler.burstEnded() }
    dropped += UInt64(inbox(of: id).messages.append(contentsOf: messages))
    messages.removeAll(keepingCapacity: true)
  }

  /// Gives a session's messages to `handler` from now on, and first of all those that wait.
  ///
  /// - Returns: whether there is such a session.
  func setHandler(_ handler: any MessageHandler, for id: SessionID) -> Bool {
    guard let inbox = inboxes[id] else { return false }
    handlers[id] = handler
    let waiting = inbox.messages.takeAll()
    for message in waiting { handler.receive(message.span.bytes) }
    if !waiting.isEmpty { handler.burstEnded() }
    return true
  }

  /// The peer of a session has answered a probe.
  func answered(_ id: SessionID, roundTrip: Duration?) { handlers[id]?.answered(roundTrip: roundTrip) }

  /// Removes the inbox of a session that has ended, after its last messages.
  func end(_ id: SessionID, _ reason: EndReason, _ event: Event) {
    if session == id { endBurst() }
    handlers[id] = nil
    inboxes.removeValue(forKey: id)?.finish(reason, event)
  }
}

extension Array<UInt8> {
  /// A copy of the bytes.
  fileprivate init(_ bytes: RawSpan) {
    self = bytes.withUnsafeBytes { Array($0) }
  }
}
