// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import NIOCore
import ZSSP

/// Opens one session after another, and gathers their messages in one queue.
///
/// | state | entered by | left by |
/// |---|---|---|
/// | connecting | the start, and a pause that is over | a session, a failure, the end |
/// | connected | a session | its end |
/// | waiting | a failure, or the end of a session | the end of the pause, unless replaced; the end |
/// | ended | the task's cancellation, a closed endpoint or session, a permanent error | never |
final class Reconnector: Sendable {
  /// The peer, and how to connect to it.
  struct Plan: Sendable {
    let target: String
    let key: PublicKey
    let identity: [UInt8]
    let flags: SecurityFlags?
    let options: ReconnectOptions
  }

  private struct Shared {
    var state = ReconnectingSession.State.connecting(attempt: 1)
    var session: Session?
    /// The address of the last session.
    var lastAddress: Address?
    var readers: [UInt64: BoundedAsyncQueue<ReconnectingSession.State>] = [:]
    var lastReader: UInt64 = 0
    var waiters: [UInt64: Promise<UDPError?>] = [:]
    var lastWaiter: UInt64 = 0
  }

  /// The interval at which a session that has replaced this one is looked for.
  private static let replacedInterval = Duration.seconds(1)

  let plan: Plan
  let messages: BoundedAsyncQueue<[UInt8]>
  private let endpoint: UDPEndpoint
  private let shared = NIOLockedValueBox(Shared())

  init(_ endpoint: UDPEndpoint, plan: Plan) {
    self.endpoint = endpoint
    self.plan = plan
    let options = endpoint.handle.options
    messages = BoundedAsyncQueue(
      .dropOldest, countLimit: options.messageBuffer, weightLimit: options.messageBufferBytes, weigh: \.count)
  }

  var largestMessage: Int { endpoint.largestMessage }
  var state: ReconnectingSession.State { shared.withLockedValue { $0.state } }
  var session: Session? { shared.withLockedValue { $0.session } }

  /// Makes a reader that receives the states from now on, beginning with the current one, until it
  /// is released.
  func makeReader() -> StateReader {
    let mailbox = BoundedAsyncQueue<ReconnectingSession.State>(.dropOldest, countLimit: 16)
    let id = shared.withLockedValue { shared in
      shared.lastReader += 1
      mailbox.append(shared.state)
      if case .ended = shared.state { mailbox.finish() } else { shared.readers[shared.lastReader] = mailbox }
      return shared.lastReader
    }
    return StateReader(self, id: id, mailbox: mailbox)
  }

  fileprivate func removeReader(_ id: UInt64) { shared.withLockedValue { $0.readers[id] = nil } }

  /// The number of readers.
  var readerCount: Int { shared.withLockedValue { $0.readers.count } }

  /// Returns the session that messages can be sent on; nil if there is none.
  ///
  /// - Throws: the error of the last state.
  func usableSession() throws(UDPError) -> Session? {
    let (state, session) = shared.withLockedValue { ($0.state, $0.session) }
    if case .ended(let error) = state { throw error }
    return session?.endReason == nil ? session : nil
  }

  /// Waits for a session.
  ///
  /// - Throws: ``UDPError/cancelled``, or the error of the last state.
  func waitForSession() async throws(UDPError) {
    let outcome = Promise<UDPError?>()
    let id = shared.withLockedValue { shared in
      shared.lastWaiter += 1
      shared.waiters[shared.lastWaiter] = outcome
      if case .ended(let error) = shared.state { outcome.resolve(error) }
      if let session = shared.session, session.endReason == nil { outcome.resolve(nil) }
      return shared.lastWaiter
    }
    let error = await withTaskCancellationHandler {
      await outcome.value()
    } onCancel: {
      outcome.resolve(.cancelled)
    }
    shared.withLockedValue { $0.waiters[id] = nil }
    if let error { throw error }
  }

  /// Opens sessions until the task is cancelled or an error is permanent.
  func run() async {
    var backoff = Backoff(plan.options)
    var generator = SystemRandomNumberGenerator()
    var attempt = 1
    while true {
      enter(.connecting(attempt: attempt))
      let (error, hasWorked) = await attemptOnce()
      let closingError = endpoint.handle.closingError
      guard !Task.isCancelled, closingError == nil, !error.endsAttempts else {
        // The application's own end, of the session or the endpoint, is one error.
        return end(closingError ?? (Task.isCancelled || error == .sessionEnded(.closed) ? .closed : error))
      }
      if hasWorked { backoff.reset() }
      attempt = hasWorked ? 1 : attempt + 1
      let pause = backoff.next(using: &generator)
      enter(.waiting(pause, after: error))
      endpoint.handle.environment.log?.waiting(for: plan.key, pause: pause, after: error)
      guard await endpoint.handle.sleep(pause) else { return end(endpoint.handle.closingError ?? .closed) }
      // The peer has opened a session, too. Another one would replace it, and so on in turn.
      while error == .sessionEnded(.replaced), await endpoint.handle.hasSession(with: plan.key) {
        guard await endpoint.handle.sleep(Self.replacedInterval) else {
          return end(endpoint.handle.closingError ?? .closed)
        }
      }
    }
  }

  /// Opens a session and waits for its end.
  ///
  /// - Returns: The reason why no session exists any more, and true if it lasted long enough to
  ///   count as working.
  private func attemptOnce() async -> (UDPError, hasWorked: Bool) {
    let session: Session
    do throws(UDPError) {
      session = try await connect()
    } catch {
      return (error, false)
    }
    let start = endpoint.handle.now
    do throws(UDPError) {
      // The first messages must be in the queue when a reader sees the state.
      try await forwardMessages(of: session)
      enter(.connected(to: session.remoteAddress), with: session)
    } catch {
      return (error, false)
    }
    let watching = Task { await watchSilence(of: session) }
    // Messages go to the handler; this sequence ends with the session.
    for await _ in session.messages {}
    watching.cancel()
    await watching.value
    if Task.isCancelled { await session.close() }
    let hasWorked = start.duration(to: endpoint.handle.now) >= plan.options.provingTime
    return (session.endReason.map { .sessionEnded($0) } ?? .closed, hasWorked)
  }

  /// Puts the messages of a session into the queue, first those that wait.
  ///
  /// - Throws: The error of a session that has ended already. Its messages are in the queue.
  func forwardMessages(of session: Session) async throws(UDPError) {
    do {
      let shard = endpoint.handle.shards[session.shard]
      try await session.setMessageHandler(MessageForwarder(to: messages, on: shard))
    } catch {
      if session.endReason != nil {
        for await message in session.messages { messages.append(message) }
      }
      throw error
    }
  }

  /// Connects to one of the target's addresses. The one of the last session comes first.
  private func connect() async throws(UDPError) -> Session {
    let start = endpoint.handle.now
    let timeout = plan.options.attemptTimeout
    var addresses = try await endpoint.handle.addresses(of: plan.target, within: timeout)
    let known = shared.withLockedValue { $0.lastAddress }
    if let known, let index = addresses.firstIndex(where: { Address($0)?.unmapped == known }) {
      addresses.insert(addresses.remove(at: index), at: 0)
    }
    let left = max(.zero, timeout - start.duration(to: endpoint.handle.now))
    let session = try await endpoint.connect(
      toAnyOf: addresses, key: plan.key, identity: plan.identity, flags: plan.flags, timeout: left)
    shared.withLockedValue { $0.lastAddress = session.establishment.address.unmapped }
    return session
  }

  /// Watches a session until it ends, or ends it if its peer does not answer.
  private func watchSilence(of session: Session) async {
    guard let limit = plan.options.silenceLimit else { return }
    var watch = SilenceWatch(
      limit: limit, idleProbe: plan.options.idleProbe.map { $0 * Double.random(in: 0.75...1) })
    while await endpoint.handle.sleep(SilenceWatch.interval), session.endReason == nil,
      let description = await session.snapshot()
    {
      switch watch.look(at: description, now: endpoint.handle.now) {
      case .isThere: break
      case .probe: await session.probe()
      case .isGone: return await session.abandon()
      }
    }
  }

  private func enter(_ state: ReconnectingSession.State, with session: Session? = nil) {
    let waiters = shared.withLockedValue { shared in
      // The first state is set before the first attempt begins.
      let isNew = shared.state != state
      shared.state = state
      shared.session = session
      if isNew { for reader in shared.readers.values { reader.append(state) } }
      return session == nil ? [] : Array(shared.waiters.values)
    }
    for waiter in waiters { waiter.resolve(nil) }
  }

  private func end(_ error: UDPError) {
    let (readers, waiters) = shared.withLockedValue { shared in
      shared.state = .ended(error)
      shared.session = nil
      for reader in shared.readers.values { reader.append(shared.state) }
      defer { shared.readers = [:] }
      return (Array(shared.readers.values), Array(shared.waiters.values))
    }
    messages.finish()
    for reader in readers { reader.finish() }
    for waiter in waiters { waiter.resolve(error) }
  }
}

extension UDPError {
  /// True if another attempt cannot succeed.
  fileprivate var endsAttempts: Bool {
    switch self {
    case .closed, .cancelled, .sessionEnded(.closed), .open(.invalidPeerKey), .open(.identityTooLong), .transport: true
    default: false
    }
  }
}

/// Receives the states of a ``ReconnectingSession``.
final class StateReader: Sendable {
  let mailbox: BoundedAsyncQueue<ReconnectingSession.State>
  private let reconnector: Reconnector
  private let id: UInt64

  init(_ reconnector: Reconnector, id: UInt64, mailbox: BoundedAsyncQueue<ReconnectingSession.State>) {
    self.reconnector = reconnector
    self.id = id
    self.mailbox = mailbox
  }

  deinit { reconnector.removeReader(id) }
}

/// Puts the messages of a session into a queue that outlives it.
private final class MessageForwarder: MessageHandler {
  private let messages: BoundedAsyncQueue<[UInt8]>
  private let shard: ShardHandle

  init(to messages: BoundedAsyncQueue<[UInt8]>, on shard: ShardHandle) {
    self.messages = messages
    self.shard = shard
  }

  func receive(_ message: RawSpan) {
    let dropped = messages.append(message.withUnsafeBytes { Array($0) })
    if dropped > 0 { shard.current.inboxes.countDropped(dropped) }
  }
}
