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
/// ``UDPEndpoint/connect(to:key:identity:flags:timeout:)-(String,_,_,_,_)``. Attempts use the
/// ratchet of the endpoint's store. Between them are pauses with jitter, up to
/// ``ReconnectOptions/longestPause``. A peer that refused is tried again, too: its list of peers
/// may change.
///
/// The end of a session is noticed at once if the peer's goodbye arrives. A peer that vanishes is
/// noticed within ``ReconnectOptions/silenceLimit`` (3.5 s) after something is sent to it, or after
/// ``ReconnectOptions/idleProbe`` (1.5 s) without anything from it. Messages that are sent in the
/// meantime are lost.
///
/// A peer that was killed and restarted has another session within six seconds, if the last one had
/// lasted ``ReconnectOptions/provingTime`` (30 s): the pause before an attempt doubles with each
/// session that ended sooner. Of several addresses of a name, that of the last session is tried
/// first.
///
/// One of two peers should reconnect; the other accepts. If both do, the later session replaces the
/// earlier one. The side whose session was replaced waits until the other session ends. If both
/// open at the same time, one session results, and closing what the other call returned closes it.
///
/// It lasts until ``close()``, until the endpoint is closed, until an error makes further attempts
/// pointless, or until the last reference to it and its sequences is released.
public final class ReconnectingSession: Sendable {
  /// The state of the session.
  public enum State: Sendable, Equatable {
    /// A session is being opened. Attempts count from 1 since the last session that has worked.
    case connecting(attempt: Int)
    /// Messages can be sent. The associated value is the peer's first address.
    case connected(to: SocketAddress)
    /// No session exists, for this reason; another attempt begins after the pause.
    case waiting(Duration, after: UDPError)
    /// The last state. ``UDPError/closed`` after ``close()``, when the current session is closed on
    /// this side, or when the endpoint is closed;
    /// ``UDPError/transport(_:)`` if the socket failed permanently; ``UDPError/open(_:)`` with an
    /// invalid key or an identity that is too long.
    case ended(UDPError)
  }

  /// The behaviour of ``send(_:whenDisconnected:)-([UInt8],_)`` without a session.
  public enum WhenDisconnected: Sendable, Hashable {
    /// Waits for the next session.
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

  /// The current state.
  public var state: State { reconnector.state }

  /// The states from now on, beginning with the current one. Each caller gets its own sequence,
  /// which keeps the newest 16 while it is not read. It ends after ``State/ended(_:)``.
  public var states: ReconnectingStates { ReconnectingStates(owner: self, reader: reconnector.makeReader()) }

  /// The number of messages dropped because ``messages`` was read too slowly.
  public var droppedMessages: UInt64 { reconnector.messages.dropped }

  /// The current session, for its properties; nil if there is none. Its ``Session/messages`` are
  /// empty: read ``messages`` instead. Closing it is the same as ``close()``.
  public var session: Session? { reconnector.session }

  /// The messages of the peer, from one session after another.
  ///
  /// For one consumer. While it does not read, ``UDPOptions/messageBuffer`` messages of
  /// ``UDPOptions/messageBufferBytes`` bytes in total are kept; each further message replaces the
  /// oldest. The sequence ends after the last state.
  public var messages: ReconnectingMessages { ReconnectingMessages(owner: self) }

  /// Sends a message of 0…``Session/largestMessage`` bytes, like ``Session/send(_:)-([UInt8])``.
  ///
  /// - Parameters:
  ///   - message: The message.
  ///   - policy: What to do without a session. The default is to wait.
  /// - Returns: True if the message was queued; false only with ``WhenDisconnected/drop``.
  /// - Throws: ``UDPError/messageTooLarge(size:limit:)``, ``UDPError/disconnected`` with
  ///   ``WhenDisconnected/fail``, ``UDPError/cancelled``, or the error of ``State/ended(_:)``.
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
          // The session has just ended. With `wait` the next one is used.
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

  /// Sends a copy of the bytes as one message. See ``send(_:whenDisconnected:)-([UInt8],_)``.
  ///
  /// - Throws: As ``send(_:whenDisconnected:)-([UInt8],_)``.
  @discardableResult
  public func send(
    _ message: some Collection<UInt8>, whenDisconnected policy: WhenDisconnected = .wait
  ) async throws(UDPError) -> Bool {
    try await send(Array(message), whenDisconnected: policy)
  }

  /// Ends the current session, after its queued messages, and all attempts. Returns when that is
  /// done. Closing twice does no harm.
  public func close() async {
    task.cancel()
    await task.value
  }
}

extension UDPEndpoint {
  /// Opens a session with a peer now, and again whenever it ends.
  ///
  /// - Parameters:
  ///   - hostAndPort: The peer's address: `gw.example:4500`, `192.0.2.1:4500` or
  ///     `[2001:db8::1]:4500`.
  ///   - key: The peer's static key.
  ///   - identity: This side's identity, sent in each handshake, 0…4096 bytes.
  ///   - flags: The flags, of which only ``/ZSSP/SecurityFlags/initiatorDisallowsDowngrade``
  ///     applies; the endpoint's flags if nil.
  ///   - options: The timing.
  /// - Throws: ``UDPError/invalidAddress(_:reason:)`` if the text is neither an address nor a name
  ///   with a port.
  public func reconnectingSession(
    to hostAndPort: String, key: PublicKey, identity: [UInt8] = [], flags: SecurityFlags? = nil,
    options: ReconnectOptions = ReconnectOptions()
  ) throws(UDPError) -> ReconnectingSession {
    let (_, port) = try SocketAddress.split(hostAndPort)
    guard port != 0 else { throw .invalidAddress(hostAndPort, reason: "the port must be 1 to 65535") }
    let plan = Reconnector.Plan(
      target: hostAndPort, key: key, identity: identity, flags: flags, options: options)
    return ReconnectingSession(Reconnector(self, plan: plan))
  }
}

/// The messages of a ``ReconnectingSession``.
public struct ReconnectingMessages: AsyncSequence, Sendable {
  /// A message.
  public typealias Element = [UInt8]
  /// The sequence does not fail.
  public typealias Failure = Never

  /// Reading keeps the session open.
  let owner: ReconnectingSession

  /// Makes an iterator. Iterators share the messages: each message goes to one.
  public func makeAsyncIterator() -> Iterator { Iterator(owner: owner) }

  /// Reads messages.
  public struct Iterator: AsyncIteratorProtocol {
    let owner: ReconnectingSession

    /// Returns the next message; nil after the last state, or when the task is cancelled.
    public mutating func next() async -> [UInt8]? { await owner.reconnector.messages.next() }

    /// Returns the next message; nil after the last state, or when the task is cancelled.
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

  /// Reading keeps the session open.
  let owner: ReconnectingSession
  let reader: StateReader

  /// Makes an iterator. Iterators share the states: each state goes to one.
  public func makeAsyncIterator() -> Iterator { Iterator(owner: owner, reader: reader) }

  /// Reads states.
  public struct Iterator: AsyncIteratorProtocol {
    let owner: ReconnectingSession
    let reader: StateReader

    /// Returns the next state; nil after the last, or when the task is cancelled.
    public mutating func next() async -> ReconnectingSession.State? { await reader.mailbox.next() }

    /// Returns the next state; nil after the last, or when the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> ReconnectingSession.State? {
      await reader.mailbox.next(isolation: actor)
    }
  }
}
