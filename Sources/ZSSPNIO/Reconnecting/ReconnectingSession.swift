// SPDX-License-Identifier: Apache-2.0
public import NIOCore
public import ZSSP

/// A session with one peer that is opened again whenever it ends, until ``close()``.
///
/// ```swift
/// func report(
///   _ readings: some AsyncSequence<String, Never>, by endpoint: UDPEndpoint, to gateway: PublicKey
/// ) async throws {
///   let session = try endpoint.reconnectingSession(to: "gw.example:4500", key: gateway)
///   for await reading in readings { try await session.send(Array(reading.utf8)) }
///   await session.close()
/// }
/// ```
///
/// Each attempt resolves the name anew and tries all of its addresses; see
/// ``UDPEndpoint/connect(to:key:identity:flags:timeout:)-(String,_,_,_,_)``. Attempts go on with the ratchet of the
/// endpoint's store. Between them are pauses with jitter, up to ``ReconnectOptions/longestPause``, also after the peer
/// has refused: its list may change.
///
/// The end of a session is noticed at once if the peer's goodbye arrives, within ``ReconnectOptions/silenceLimit`` (4 s) if something
/// is sent, and otherwise within ``UDPOptions/idleTimeout`` (45 s). Messages that are sent in between are lost.
///
/// It lasts until ``close()``, until the endpoint is closed or an error makes further attempts pointless, or until neither it nor one
/// of its sequences is referred to.
public final class ReconnectingSession: Sendable {
  /// How the session stands.
  public enum State: Sendable, Equatable {
    /// It is being opened; attempts are counted from 1 since the last session that has worked.
    case connecting(attempt: Int)
    /// Messages can be sent. The peer is, or was at first, at this address.
    case connected(to: SocketAddress)
    /// There is no session, for this reason, and another attempt begins when the pause is over.
    case waiting(Duration, after: UDPError)
    /// It is over: ``UDPError/closed`` after ``close()`` or when the endpoint is closed; ``UDPError/transport(_:)`` if the socket
    /// failed for good; ``UDPError/open(_:)`` with an invalid key or an identity that is too long. The last state.
    case ended(UDPError)
  }

  /// What ``send(_:whenDisconnected:)-([UInt8],_)`` does while there is no session.
  public enum WhenDisconnected: Sendable, Hashable {
    /// Waits until there is one.
    case wait
    /// Throws ``UDPError/disconnected``.
    case fail
    /// Drops the message, and returns false.
    case drop
  }

  let reconnector: Reconnector
  private let task: Task<Void, Never>

  init(_ reconnector: Reconnector) {
    self.reconnector = reconnector
    task = Task { await reconnector.run() }
  }

  deinit { task.cancel() }

  /// The peer's static key.
  public var peer: PublicKey { reconnector.plan.key }

  /// How the session stands now.
  public var state: State { reconnector.state }

  /// The states from now on, the present one first. Each caller gets a sequence of its own, in which the newest 16 are
  /// kept while nobody reads. It ends behind ``State/ended(_:)``.
  public var states: ReconnectingStates { ReconnectingStates(owner: self, reader: reconnector.makeReader()) }

  /// The session at the moment, for what a ``Session`` tells; nil while there is none. Its ``Session/messages`` are empty:
  /// they come through ``messages``. Closing it is the same as ``close()``.
  public var session: Session? { reconnector.session }

  /// The messages of the peer, of one session after another.
  ///
  /// For one consumer. While nobody reads, ``UDPOptions/messageBuffer`` messages of together
  /// ``UDPOptions/messageBufferBytes`` bytes are kept; then the oldest is dropped for each that comes. The sequence ends
  /// behind the last state.
  public var messages: ReconnectingMessages { ReconnectingMessages(owner: self) }

  /// Sends a message of 0…``Session/largestMessage`` bytes, as ``Session/send(_:)-([UInt8])`` does.
  ///
  /// - Parameters:
  ///   - message: the message.
  ///   - policy: what is done while there is no session.
  /// - Returns: whether the message was queued; false only with ``WhenDisconnected/drop``.
  /// - Throws: ``UDPError/messageTooLarge(size:limit:)``, ``UDPError/disconnected`` with ``WhenDisconnected/fail``,
  ///   ``UDPError/cancelled``, or the error of ``State/ended(_:)``.
  @discardableResult
  public func send(
    _ message: [UInt8], whenDisconnected policy: WhenDisconnected = .wait
  ) async throws(UDPError) -> Bool {
    let limit = reconnector.largestMessage
    guard message.count <= limit else { throw .messageTooLarge(size: message.count, limit: limit) }
    while true {
      if let session = try reconnector.usableSession() {
        do {
          try await session.send(message)
          return true
        } catch {
          // It has ended in this moment. Whoever waits gets the next.
          guard case .sessionEnded = error else { throw error }
        }
      }
      switch policy {
      case .fail: throw .disconnected
      case .drop: return false
      case .wait: try await reconnector.waitForSession()
      }
    }
  }

  /// Sends a copy of some bytes as one message. See ``send(_:whenDisconnected:)-([UInt8],_)``.
  @discardableResult
  public func send(
    _ message: some Collection<UInt8>, whenDisconnected policy: WhenDisconnected = .wait
  ) async throws(UDPError) -> Bool {
    try await send(Array(message), whenDisconnected: policy)
  }

  /// Ends the session, if there is one, after what was queued for it, and all attempts. Returns when it is over. Closing
  /// twice does no harm.
  public func close() async {
    task.cancel()
    await task.value
  }
}

extension UDPEndpoint {
  /// Keeps a session with a peer: opens it now, and again whenever it ends.
  ///
  /// - Parameters:
  ///   - hostAndPort: where the peer is: `gw.example:4500`, `192.0.2.1:4500` or `[2001:db8::1]:4500`.
  ///   - key: the static key that the peer must have.
  ///   - identity: what this side says of itself in each handshake, 0…4096 bytes.
  ///   - flags: π2 counts; the endpoint's flags if nil.
  ///   - options: when to try again.
  /// - Throws: ``UDPError/invalidAddress(_:reason:)`` if the text is neither an address nor a name with a port.
  public func reconnectingSession(
    to hostAndPort: String, key: PublicKey, identity: [UInt8] = [], flags: SecurityFlags? = nil,
    options: ReconnectOptions = ReconnectOptions()
  ) throws(UDPError) -> ReconnectingSession {
    _ = try SocketAddress.split(hostAndPort)
    let plan = Reconnector.Plan(
      target: hostAndPort, key: key, identity: identity, flags: flags, options: options)
    return ReconnectingSession(Reconnector(self, plan))
  }
}

/// The messages of a ``ReconnectingSession``.
public struct ReconnectingMessages: AsyncSequence, Sendable {
  /// A message.
  public typealias Element = [UInt8]
  /// The sequence does not fail.
  public typealias Failure = Never

  /// Reading keeps the session going.
  let owner: ReconnectingSession

  /// Reads the messages. Iterators share them: each message goes to one.
  public func makeAsyncIterator() -> Iterator { Iterator(owner: owner) }

  /// Reads messages.
  public struct Iterator: AsyncIteratorProtocol {
    let owner: ReconnectingSession

    /// The next message; nil when the session is over for good, or the task is cancelled.
    public mutating func next() async -> [UInt8]? { await owner.reconnector.messages.next() }

    /// The next message; nil when the session is over for good, or the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> [UInt8]? {
      await owner.reconnector.messages.next(isolation: actor)
    }
  }
}

/// The states of a ``ReconnectingSession``.
public struct ReconnectingStates: AsyncSequence, Sendable {
  /// A state.
  public typealias Element = ReconnectingSession.State
  /// The sequence does not fail.
  public typealias Failure = Never

  /// Reading keeps the session going.
  let owner: ReconnectingSession
  let reader: StateReader

  /// Reads the states. Iterators share them: each state goes to one.
  public func makeAsyncIterator() -> Iterator { Iterator(owner: owner, reader: reader) }

  /// Reads states.
  public struct Iterator: AsyncIteratorProtocol {
    let owner: ReconnectingSession
    let reader: StateReader

    /// The next state; nil behind the last, or when the task is cancelled.
    public mutating func next() async -> ReconnectingSession.State? { await reader.mailbox.next() }

    /// The next state; nil behind the last, or when the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> ReconnectingSession.State? {
      await reader.mailbox.next(isolation: actor)
    }
  }
}
