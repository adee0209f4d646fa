// SPDX-License-Identifier: Apache-2.0
public import NIOCore
public import ZSSP

/// A session with one peer: encrypted and authenticated datagrams in both directions.
///
/// The service is that of UDP: messages may be lost or reordered, but are never duplicated or
/// altered.
///
/// A session lasts until you call ``close()``, the protocol ends it, or the endpoint closes.
/// Releasing this object does not end it. ``close()`` tells the peer once, in a datagram that may
/// be lost; then the peer's session ends by ``UDPOptions/idleTimeout``.
public final class Session: Sendable {
  /// The session's id, unique within its shard.
  public let id: SessionID
  /// The index of the session's shard; see ``UDPOptions/shards``.
  public var shard: Int { shardHandle.index }
  /// The facts of the session's establishment.
  public let establishment: Establishment
  /// The largest weight of a writer, in bytes. It fills the queue in any case.
  private static let largestWriter = 1 << 40
  private let handle: EndpointHandle
  private let shardHandle: ShardHandle
  private let inbox: SessionInbox

  init(_ established: EstablishedSession, handle: EndpointHandle) {
    id = established.id
    establishment = established.establishment
    inbox = established.inbox
    shardHandle = handle.shards[established.shard]
    self.handle = handle
  }

  /// The peer's static key, which it has proved.
  public var peer: PublicKey { establishment.peer }
  /// The initiator's identity, 0…4096 bytes.
  public var identity: [UInt8] { establishment.identity }
  /// The role of this endpoint in the handshake.
  public var role: Role { establishment.role }
  /// The peer's current address. It changes with a ``SessionEvent/moved(from:to:)``;
  /// ``establishment`` has the first one.
  public var remoteAddress: SocketAddress { SocketAddress(inbox.address ?? establishment.address) }
  /// The maximum size of a message in bytes.
  public var largestMessage: Int { handle.largestMessage }

  /// The reason why the session ended; nil while it lasts.
  public var endReason: EndReason? { inbox.endReason }
  /// The number of messages dropped because ``messages`` was read too slowly.
  public var droppedMessages: UInt64 { inbox.messages.dropped }

  /// The messages of the peer, each of 0…``largestMessage`` bytes at the peer's MTU.
  ///
  /// For one consumer. While it does not read, ``UDPOptions/messageBuffer`` messages of
  /// ``UDPOptions/messageBufferBytes`` bytes in total are kept; each further message replaces the
  /// oldest. The sequence ends with the session, after the messages received before.
  public var messages: Messages { Messages(mailbox: inbox.messages, handle: handle) }

  /// The events of the session: confirmed, restarted, downgraded, rekeyed, moved, and finally
  /// ended.
  ///
  /// For one consumer. The newest ``UDPOptions/eventBuffer`` are kept while it does not read.
  public var events: SessionEvents { SessionEvents(mailbox: inbox.events, handle: handle) }

  /// The ``events`` in the protocol's form. Both sequences share one queue.
  package var protocolEvents: ProtocolEvents { ProtocolEvents(mailbox: inbox.events, handle: handle) }

  /// Sends a message of 0…``largestMessage`` bytes.
  ///
  /// Returns when the message is queued for the socket. That is at once, unless the socket takes no
  /// more: then it waits until ``UDPOptions/sendBuffer`` has room. Delivery is not guaranteed.
  ///
  /// - Throws: ``UDPError/messageTooLarge(size:limit:)``, ``UDPError/sessionEnded(_:)``,
  ///   ``UDPError/closed``, ``UDPError/transport(_:)``, or ``UDPError/cancelled``, after which the
  ///   message is not sent. A waiting call fails as soon as the session ends or the endpoint is
  ///   closed.
  public func send(_ message: [UInt8]) async throws(UDPError) {
    try await queue([.array(message)])
  }

  /// Sends the readable bytes of a buffer as one message. See ``send(_:)-([UInt8])``.
  ///
  /// - Throws: As ``send(_:)-([UInt8])``.
  public func send(_ message: ByteBuffer) async throws(UDPError) {
    try await queue([.buffer(message)])
  }

  /// Sends a copy of the bytes as one message. See ``send(_:)-([UInt8])``.
  ///
  /// - Throws: As ``send(_:)-([UInt8])``.
  public func send(_ message: some Collection<UInt8>) async throws(UDPError) {
    try await queue([.array(Array(message))])
  }

  /// Sends several messages in order, or none if one cannot be sent. That is cheaper than one by
  /// one, and messages of equal size leave as super-datagrams where the system supports them.
  ///
  /// - Throws: As ``send(_:)-([UInt8])``.
  public func send(contentsOf messages: [[UInt8]]) async throws(UDPError) {
    try await queue(messages.map { .array($0) })
  }

  /// Calls `body` to write messages straight into the outgoing datagrams, without a copy or an
  /// allocation.
  ///
  /// Returns when the request is queued, like ``send(_:)-([UInt8])``. `body` is called once, later,
  /// on the session's event loop, which does nothing else meanwhile: it must not block. If it
  /// throws, its remaining messages are dropped and counted.
  ///
  /// ```swift
  /// func send(_ blocks: [[UInt8]], on session: Session) async throws {
  ///   try await session.sendMessages(ofBytes: blocks.count * 1200) { run throws(SendError) in
  ///     for block in blocks { try run.append(block.span.bytes) }
  ///   }
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - bytes: About how many bytes `body` will append, 0 or more. They count against
  ///     ``UDPOptions/sendBuffer``. Some hundred kilobytes at once are most efficient.
  ///   - body: Appends the messages, each of 0…``largestMessage`` bytes.
  /// - Throws: ``UDPError/sessionEnded(_:)``, ``UDPError/closed``, ``UDPError/transport(_:)``, or
  ///   ``UDPError/cancelled``, after which `body` is not called.
  public func sendMessages(
    ofBytes bytes: Int, _ body: @escaping @Sendable (inout SendRun) throws(SendError) -> Void
  ) async throws(UDPError) {
    try await queue(CollectionOfOne(.writer(bytes: min(max(0, bytes), Self.largestWriter), body)))
  }

  /// Sends messages like ``sendMessages(ofBytes:_:)``, without waiting, for event loops and
  /// ``MessageHandler``s.
  ///
  /// - Parameters:
  ///   - bytes: About how many bytes `body` will append, 0 or more.
  ///   - body: Appends the messages, each of 0…``largestMessage`` bytes.
  /// - Returns: False, without calling `body`, if ``UDPOptions/sendBuffer`` has no room.
  /// - Throws: ``UDPError/sessionEnded(_:)``, ``UDPError/closed`` or ``UDPError/transport(_:)``.
  public func sendMessagesIfRoom(
    ofBytes bytes: Int, _ body: @escaping @Sendable (inout SendRun) throws(SendError) -> Void
  ) throws(UDPError) -> Bool {
    if let error = endError { throw error }
    return shardHandle.sendQueue.sendIfRoom([
      SendQueue.Item(session: id, payload: .writer(bytes: min(max(0, bytes), Self.largestWriter), body))
    ])
  }

  /// The session's event loop, on which its ``MessageHandler`` is called.
  package var eventLoop: any EventLoop { shardHandle.eventLoop }

  /// Calls `body` now to write messages straight into the outgoing datagrams. Must be called on
  /// ``eventLoop``, and not within a ``MessageHandler``.
  ///
  /// - Returns: False, without calling `body`, if the socket takes no more: see ``whenRoom(_:)``.
  /// - Throws: ``UDPError/sessionEnded(_:)``, ``UDPError/closed`` or ``UDPError/transport(_:)``.
  package func sendMessagesNow(
    _ body: (inout SendRun) throws(SendError) -> Void
  ) throws(UDPError) -> Bool {
    if let error = endError { throw error }
    return shardHandle.current.sendNow(on: id, body)
  }

  /// Calls `resume` once, in its own turn of ``eventLoop``, when the socket takes more or the
  /// endpoint is closed, even if this session ends meanwhile. Must be called on ``eventLoop``.
  package func whenRoom(_ resume: @escaping @Sendable () -> Void) { shardHandle.current.whenRoom(resume) }

  /// Makes `handler` receive the messages of the peer, first those that wait to be read;
  /// ``messages`` delivers no more. It is released when the session ends.
  ///
  /// - Throws: ``UDPError/sessionEnded(_:)``, ``UDPError/closed`` or ``UDPError/transport(_:)``.
  public func setMessageHandler(_ handler: any MessageHandler) async throws(UDPError) {
    let id = id
    guard await shardHandle.ask({ driver in driver.setHandler(handler, for: id) }) == true else {
      throw endError ?? .closed
    }
  }

  private func queue(_ messages: some Collection<SendQueue.Payload>) async throws(UDPError) {
    for case .array(let message) in messages { try check(message.count) }
    for case .buffer(let message) in messages { try check(message.readableBytes) }
    if let error = endError { throw error }
    let items = messages.map { SendQueue.Item(session: id, payload: $0) }
    if let error = await shardHandle.sendQueue.send(items, unless: { endError }) { throw error }
  }

  /// The error for sending after the session has ended; nil before.
  private var endError: UDPError? {
    endReason.map { handle.closingError ?? .sessionEnded($0) }
  }

  private func check(_ size: Int) throws(UDPError) {
    if size > largestMessage { throw .messageTooLarge(size: size, limit: largestMessage) }
  }

  /// Returns a description of the session's current state; nil once it has ended.
  public func snapshot() async -> SessionDescription? {
    let id = id
    return await shardHandle.ask { driver in driver.endpoint.session(id) } ?? nil
  }

  // [DEC-87]
  /// Sets the maximum size of the session's datagrams, in bytes of UDP payload; see
  /// ``/ZSSP/Endpoint/setDatagramLimit(_:of:)``. Messages of up to ``largestMessage`` bytes can be
  /// sent in any case, split over several datagrams if necessary. Other sessions are not affected.
  ///
  /// - Parameter limit: The limit; nil for ``/ZSSP/Settings/mtu``, the initial value.
  /// - Returns: The limit in effect; nil once the session has ended.
  @discardableResult
  public func setDatagramLimit(_ limit: Int?) async -> Int? {
    let id = id
    return await shardHandle.ask { driver in driver.endpoint.setDatagramLimit(limit, of: id) } ?? nil
  }

  /// Sets the limit like ``setDatagramLimit(_:)``, without waiting. It applies to later messages.
  package func requestDatagramLimit(_ limit: Int?) {
    let id = id
    if shardHandle.eventLoop.inEventLoop {
      shardHandle.current.endpoint.setDatagramLimit(limit, of: id)
    } else {
      shardHandle.tell { driver in driver.endpoint.setDatagramLimit(limit, of: id) }
    }
  }

  /// Replaces the session's key now, before it is due (section 7). ``events`` has `rekeyed` when
  /// that is done.
  ///
  /// - Returns: True if a re-key begins. False while one is under way, before the peer has
  ///   confirmed the session, or beyond the rate that ``/ZSSP/Settings/rekeyBurst`` and
  ///   ``/ZSSP/Settings/rekeyRefill`` allow.
  @discardableResult
  public func rekey() async -> Bool {
    let id = id
    return await shardHandle.ask { driver in driver.rekey(id) } ?? false
  }

  /// Probes the peer now instead of after ``UDPOptions/keepAlive``. ``snapshot()`` has the
  /// round-trip time, and the time of the last authentic packet.
  public func probe() async {
    let id = id
    _ = await shardHandle.ask { driver in driver.probePeer(of: id) }
  }

  /// Probes the peer like ``probe()``, without waiting.
  package func probeSoon() {
    let id = id
    shardHandle.tell { driver in driver.probePeer(of: id) }
  }

  /// Ends the session with `EndReason.peerSilent`, because its peer does not answer.
  func abandon() async {
    let id = id
    _ = await shardHandle.ask { driver in driver.abandonSession(id) }
  }

  /// Ends the session after its queued messages, for which it waits at most two seconds. The peer
  /// is told once: its session ends with `EndReason.closedByPeer` if the datagram arrives. Closing
  /// twice does no harm.
  public func close() async { await shardHandle.close(id) }
}
