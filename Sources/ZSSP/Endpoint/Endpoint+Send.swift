// SPDX-License-Identifier: Apache-2.0

/// Why a message was not sent.
public enum SendError: Error, Hashable {
  /// The session has ended, or never was.
  case unknownSession
  /// The handshake is not complete yet.
  case notEstablished
  /// The message is longer than ``Settings/largestMessage``.
  case messageTooLarge(size: Int, limit: Int)
  /// The key was used as often as it may be; the session has ended.
  case keyExhausted
}

extension SendError: CustomStringConvertible {
  /// What is wrong and what would be right.
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
  /// Seals a message of 0…``Settings/largestMessage`` bytes and puts its datagrams into the ``outbox``.
  ///
  /// There is no guarantee that it arrives, nor that messages arrive in order; none arrives twice, or altered.
  public mutating func send(_ message: RawSpan, on id: SessionID, at now: Instant) throws(SendError) {
    try send(on: id, at: now) { run throws(SendError) in try run.append(message) }
  }

  /// Seals as many messages as `body` appends to the run, and puts their datagrams into the ``outbox``.
  ///
  /// Cheaper than one by one, and messages of one size come to lie in one ``DatagramBatch/Run``. When `body` throws, what
  /// it had appended before is sent.
  public mutating func send(
    on id: SessionID, at now: Instant, _ body: (inout SendRun) throws(SendError) -> Void
  ) throws(SendError) {
    guard let session = peers[id] else { throw .unknownSession }
    // [CTRL-6]
    guard let path = session.takeSendContext(surroundings.configuration.provider) else { throw .notEstablished }
    memory.keys.use(session, at: now)
    var run = SendRun(path, session, surroundings.configuration.settings)
    swap(&run.outbox, &outbox)
    let before = run.outbox.tally
    var failure: SendError?
    do { try body(&run) } catch { failure = error }
    run.protectHeaders()
    swap(&run.outbox, &outbox)
    journal.countSent(before, outbox.tally)
    journal.countMessagesSent(run.count)
    let (isUsedUp, counter) = (run.uses >= surroundings.configuration.settings.rekeyUses, run.counter)
    let (messages, bytes) = (run.count, run.byteCount)
    session.giveBack(run.finish(), counter: counter, messages: messages, bytes: bytes)
    // The key was used so often that it is time for another (section 4).
    // [CTR-11]
    if isUsedUp, session.canBeginRekey { beginRekey(session, at: now) }
    if let failure {
      if failure == .keyExhausted { end(session, .keyExhausted) }
      throw failure
    }
  }
}
