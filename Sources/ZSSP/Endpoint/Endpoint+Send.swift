// SPDX-License-Identifier: Apache-2.0

/// The reason why a message was not sent.
public enum SendError: Error, Hashable {
  /// The session has ended, or never existed.
  case unknownSession
  /// The handshake is not complete yet.
  case notEstablished
  /// The message is longer than ``Settings/largestMessage``.
  case messageTooLarge(size: Int, limit: Int)
  /// The key reached its limit of uses; the session has ended.
  case keyExhausted
}

extension SendError: CustomStringConvertible {
  /// The problem, and the limit.
  public var description: String {
    switch self {
    case .unknownSession: "the session has ended"
    case .notEstablished: "the session is not established yet"
    case .messageTooLarge(let size, let limit):
      "a message of \(size) bytes is too large: at this MTU the limit is \(limit) bytes"
    case .keyExhausted: "the session's key has been used as often as it may be"
    }
  }
}

extension Endpoint {
  /// Seals a message of 0 to ``Settings/largestMessage`` bytes, and adds its datagrams to the
  /// ``outbox``.
  ///
  /// Delivery and order are not guaranteed. No message is delivered twice or altered.
  ///
  /// - Throws: ``SendError``.
  public mutating func send(_ message: RawSpan, on id: SessionID, at now: Instant) throws(SendError) {
    try send(on: id, at: now) { run throws(SendError) in try run.append(message) }
  }

  /// Seals the messages that `body` appends to the run, and adds their datagrams to the ``outbox``.
  ///
  /// This costs less than sending one by one, and puts messages of one size into one
  /// ``DatagramBatch/Run``. If `body` throws, the messages that it appended before are sent.
  ///
  /// - Throws: ``SendError`` if the session cannot send, or the error that `body` throws.
  public mutating func send(
    on id: SessionID, at now: Instant, _ body: (inout SendRun) throws(SendError) -> Void
  ) throws(SendError) {
    guard let session = peers[id] else { throw .unknownSession }
    // [CTRL-6]
    guard let path = session.takeSendContext(surroundings.configuration.provider) else { throw .notEstablished }
    memory.keys.use(session, at: now)
    var run = SendRun(path, session: session, settings: surroundings.configuration.settings)
    swap(&run.outbox, &outbox)
    let before = run.outbox.tally
    var failure: SendError?
    do { try body(&run) } catch { failure = error }
    run.protectHeaders()
    swap(&run.outbox, &outbox)
    journal.countSent(from: before, to: outbox.tally)
    journal.countMessagesSent(run.count)
    let isUsedUp = run.uses >= surroundings.configuration.settings.rekeyUses
    let counter = run.counter
    let messages = run.count
    let bytes = run.byteCount
    session.giveBack(run.finish(), counter: counter, messages: messages, bytes: bytes)
    // The uses of the key have reached the number at which a re-key starts (section 4).
    // [CTR-11]
    if isUsedUp, session.canBeginRekey { beginRekey(session, at: now) }
    if let failure {
      if failure == .keyExhausted { end(session, reason: .keyExhausted) }
      throw failure
    }
  }
}
