// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The inboxes of all sessions, and the messages of the current burst of reads. Used on its event
/// loop only.
///
/// Consecutive messages of one session are delivered together, so that its reader's lock is taken
/// once.
final class SessionInboxes {
  /// Messages that were dropped because the reader of a session was slow.
  private(set) var dropped: UInt64 = 0

  private let options: UDPOptions
  private var inboxes: [SessionID: SessionInbox] = [:]
  /// Receivers of messages in place, without a copy.
  private var handlers: [SessionID: any MessageHandler] = [:]

  /// The session of the last message, and its handler.
  private var session: SessionID?
  private var handler: (any MessageHandler)?
  /// Messages of that session, if it has no handler.
  private var messages: [[UInt8]] = []

  init(_ options: UDPOptions) { self.options = options }

  /// The sessions that have an inbox.
  var sessions: [SessionID] { Array(inboxes.keys) }

  /// Returns the inbox of a session, made at first use. For a responder's session that is its first
  /// event.
  func inbox(of id: SessionID) -> SessionInbox {
    if let inbox = inboxes[id] { return inbox }
    let inbox = SessionInbox(options)
    inboxes[id] = inbox
    return inbox
  }

  /// Returns the peer of a session that has not ended; nil if unknown.
  func peer(of id: SessionID) -> PublicKey? { inboxes[id]?.peer }

  /// Delivers a message of the burst to its handler, or gathers it.
  ///
  /// - Parameters:
  ///   - datagrams: The datagrams that contain the message, unless it was assembled.
  ///   - trafficClass: The class of its last datagram; 0 if unknown.
  func append(_ delivery: Delivery, of datagrams: RawSpan, trafficClass: UInt8 = 0) {
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

  /// Counts messages that a handler's own queue had no room for.
  func countDropped(_ count: Int) { dropped += UInt64(count) }

  /// Delivers the gathered messages.
  func endBurst() {
    guard let id = session.take() else { return }
    if let handler = handler.take() { return handler.burstEnded() }
    dropped += UInt64(inbox(of: id).messages.append(contentsOf: messages))
    messages.removeAll(keepingCapacity: true)
  }

  /// Sets the handler of a session's messages, and gives it those that wait first.
  ///
  /// - Returns: False if the session does not exist.
  func setHandler(_ handler: any MessageHandler, for id: SessionID) -> Bool {
    guard let inbox = inboxes[id] else { return false }
    handlers[id] = handler
    let waiting = inbox.messages.takeAll()
    for message in waiting { handler.receive(message.span.bytes) }
    if !waiting.isEmpty { handler.burstEnded() }
    return true
  }

  /// Forwards the answer to a probe to the session's handler.
  func answered(_ id: SessionID, roundTrip: Duration?) { handlers[id]?.answered(roundTrip: roundTrip) }

  /// Removes the inbox of an ended session, after its last messages. Returns true if the session
  /// was ever established.
  func end(_ id: SessionID, reason: EndReason, event: Event) -> Bool {
    if session == id { endBurst() }
    handlers[id] = nil
    guard let inbox = inboxes.removeValue(forKey: id) else { return false }
    inbox.finish(reason, last: event)
    return inbox.isEstablished
  }
}

extension Array<UInt8> {
  /// A copy of the bytes.
  fileprivate init(_ bytes: RawSpan) {
    self = bytes.withUnsafeBytes { Array($0) }
  }
}
