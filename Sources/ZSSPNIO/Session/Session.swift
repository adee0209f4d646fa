// SPDX-License-Identifier: Apache-2.0
public import NIOCore
public import ZSSP

/// A session with one peer: encrypted and authenticated datagrams in both directions.
///
/// The service is that of UDP: messages may be lost or come in another order; none comes twice or altered.
///
/// A session lasts until you call ``close()``, the protocol ends it, or the endpoint closes. Releasing this object does not end it. The
/// peer is told of ``close()`` once, in a datagram that may get lost; otherwise it finds out by ``UDPOptions/idleTimeout``.
public final class Session: Sendable {
  /// The session's name within its shard.
  public let id: SessionID
  /// The shard of the endpoint that the session lives in; see ``UDPOptions/shards``.
  public var shard: Int { way.index }
  /// What was known of the session when it was established.
  public let establishment: Establishment
  /// What a writer counts at most. The queue is full with it in any case.
  private static let largestWriter = 1 << 40
  private let handle: EndpointHandle
  private let way: ShardHandle
  private let inbox: SessionInbox

  init(_ established: EstablishedSession, _ handle: EndpointHandle) {
    id = established.id
    establishment = established.establishment
    inbox = established.inbox
    way = handle.shards[established.shard]
    self.handle = handle
  }

  /// The peer's static key, proved.
  public var peer: PublicKey { establishment.peer }
  /// What the initiator said of itself, 0…4096 bytes.
  public var identity: [UInt8] { establishment.identity }
  /// The side that this endpoint was on in the handshake.
  public var role: Role { establishment.role }
  /// Where the peer is now: it may move, which is a ``SessionEvent/moved(from:to:)``. ``establishment`` says where it
  /// was at first.
  public var remoteAddress: SocketAddress { SocketAddress(inbox.address ?? establishment.address) }
  /// The longest message in bytes.
  public var largestMessage: Int { handle.largestMessage }

  /// Why the session ended; nil while it lasts.
  public var endReason: EndReason? { inbox.endReason }
  /// How many messages were dropped because ``messages`` was read too slowly.
  public var droppedMessages: UInt64 { inbox.messages.dropped }

  /// The messages of the peer, 0…``largestMessage`` bytes of the peer's MTU each.
  ///
  /// For one consumer. While nobody reads, ``UDPOptions/messageBuffer`` messages of together
  /// ``UDPOptions/messageBufferBytes`` bytes are kept; then the oldest is dropped for each that comes. The sequence
  /// ends with the session, after what has come before.
  public var messages: Messages { Messages(mailbox: inbox.messages, handle: handle) }

  /// What happens to the session: confirmed, downgraded, rekeyed, moved, and at last ended.
  ///
  /// For one consumer. The newest ``UDPOptions/eventBuffer`` are kept.
  public var events: SessionEvents { SessionEvents(mailbox: inbox.events, handle: handle) }

  /// The same events as the protocol has them. They and ``events`` share one queue.
  package var protocolEvents: ProtocolEvents { ProtocolEvents(mailbox: inbox.events, handle: handle) }

  /// Sends a message of 0…``largestMessage`` bytes.
  ///
  /// Returns when the message is queued for the socket, which is at once unless the socket takes no more: then it waits
  /// for ``UDPOptions/sendBuffer`` to have room. There is no guarantee that the message arrives.
  ///
  /// - Throws: ``UDPError/messageTooLarge(size:limit:)``, ``UDPError/sessionEnded(_:)``, ``UDPError/closed``, or
  ///   ``UDPError/cancelled``, after which the message is not sent. A call that waits fails as soon
  ///   as the session ends or the endpoint is closed.
  public func send(_ message: [UInt8]) async throws(UDPError) {
    try await queue([.array(message)])
  }

  /// Sends the readable bytes of a buffer as one message. See ``send(_:)-([UInt8])``.
  public func send(_ message: ByteBuffer) async throws(UDPError) {
    try await queue([.buffer(message)])
  }

  /// Sends a copy of some bytes as one message. See ``send(_:)-([UInt8])``.
  public func send(_ message: some Collection<UInt8>) async throws(UDPError) {
    try await queue([.array(Array(message))])
  }

  /// Sends several messages, in this order, or none of them if one cannot be sent. Cheaper than one by one, and messages
  /// of one size leave as super-datagrams where the system has them.
  public func send(contentsOf messages: [[UInt8]]) async throws(UDPError) {
    try await queue(messages.map { .array($0) })
  }

  /// Has `body` write messages straight into the datagrams that the socket sends: nothing is copied or allocated for them.
  ///
  /// Returns when the request is queued, like ``send(_:)-([UInt8])``. `body` is called once, later, on the endpoint's event loop, which
  /// does nothing else meanwhile: it must not block. What it throws drops the rest of its messages, which is counted.
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
  ///   - bytes: about how many bytes `body` will append, 0 or more. It counts against ``UDPOptions/sendBuffer``. Some hundred
  ///     kilobytes at once are most efficient.
  ///   - body: appends the messages, each of 0…``largestMessage`` bytes.
  /// - Throws: ``UDPError/sessionEnded(_:)``, ``UDPError/closed``, or ``UDPError/cancelled``, after which `body` is not called.
  public func sendMessages(
    ofBytes bytes: Int, _ body: @escaping @Sendable (inout SendRun) throws(SendError) -> Void
  ) async throws(UDPError) {
    try await queue(CollectionOfOne(.writer(bytes: min(max(0, bytes), Self.largestWriter), body)))
  }

  /// The same as ``sendMessages(ofBytes:_:)`` for those who cannot wait: on event loops, and in ``MessageHandler``s.
  ///
  /// - Returns: whether there was room in ``UDPOptions/sendBuffer``. If not, `body` is not called.
  /// - Throws: ``UDPError/sessionEnded(_:)`` or ``UDPError/closed``.
  public func sendMessagesIfRoom(
    ofBytes bytes: Int, _ body: @escaping @Sendable (inout SendRun) throws(SendError) -> Void
  ) throws(UDPError) -> Bool {
    if let error = endError { throw error }
    return way.sendQueue.sendIfRoom([
      SendQueue.Item(session: id, payload: .writer(bytes: min(max(0, bytes), Self.largestWriter), body))
    ])
  }

  /// Where the session lives, and its ``MessageHandler`` is called.
  package var eventLoop: any EventLoop { way.eventLoop }

  /// Has `body` write messages straight into the datagrams that the socket sends, now. Only for those who are on
  /// ``eventLoop``, and not in a ``MessageHandler``, between whose messages nothing is sent.
  ///
  /// - Returns: whether `body` was called. If not, the socket takes no more: see ``whenRoom(_:)``.
  /// - Throws: ``UDPError/sessionEnded(_:)`` or ``UDPError/closed``.
  package func sendMessagesNow(
    _ body: (inout SendRun) throws(SendError) -> Void
  ) throws(UDPError) -> Bool {
    if let error = endError { throw error }
    return way.current.sendNow(on: id, body)
  }

  /// Calls `resume` once, in a turn of ``eventLoop`` of its own, when the socket takes more or the
  /// endpoint is closed, whatever becomes of this session meanwhile. Only for those who are on
  /// ``eventLoop``.
  package func whenRoom(_ resume: @escaping @Sendable () -> Void) { way.current.whenRoom(resume) }

  /// From now on `handler` takes the messages of the peer, those first that wait to be read; ``messages`` brings no more.
  /// It is let go of when the session ends.
  ///
  /// - Throws: ``UDPError/sessionEnded(_:)`` or ``UDPError/closed``.
  public func setMessageHandler(_ handler: any MessageHandler) async throws(UDPError) {
    let id = id
    guard await way.ask({ driver in driver.setHandler(handler, for: id) }) == true else {
      throw endReason.map { .sessionEnded($0) } ?? .closed
    }
  }

  private func queue(_ messages: some Collection<SendQueue.Payload>) async throws(UDPError) {
    for case .array(let message) in messages { try check(message.count) }
    for case .buffer(let message) in messages { try check(message.readableBytes) }
    if let error = endError { throw error }
    let items = messages.map { SendQueue.Item(session: id, payload: $0) }
    if let error = await way.sendQueue.send(items, unless: { endError }) { throw error }
  }

  /// What sending fails with once the session has ended.
  private var endError: UDPError? {
    endReason.map { handle.isClosed ? .closed : .sessionEnded($0) }
  }

  private func check(_ size: Int) throws(UDPError) {
    if size > largestMessage { throw .messageTooLarge(size: size, limit: largestMessage) }
  }

  /// How the session stands now; nil once it has ended.
  public func snapshot() async -> SessionDescription? {
    let id = id
    return await way.ask { driver in driver.endpoint.session(id) } ?? nil
  }

  // [DEC-87]
  /// Sets the largest datagram that the session's messages are sent in, in bytes of UDP payload; see
  /// ``Endpoint/setDatagramLimit(_:of:)``. Messages of up to ``largestMessage`` bytes are sent in any case, in several datagrams
  /// where they do not fit. Other sessions are not concerned.
  ///
  /// - Parameter limit: the limit; nil for ``Settings/mtu``, which is what a session begins with.
  /// - Returns: the limit that holds now; nil once the session has ended.
  @discardableResult
  public func setDatagramLimit(_ limit: Int?) async -> Int? {
    let id = id
    return await way.ask { driver in driver.endpoint.setDatagramLimit(limit, of: id) } ?? nil
  }

  /// The same for those who do not wait. It holds for what is sent afterwards.
  package func requestDatagramLimit(_ limit: Int?) {
    let id = id
    if way.eventLoop.inEventLoop {
      way.current.endpoint.setDatagramLimit(limit, of: id)
    } else {
      way.tell { driver in driver.endpoint.setDatagramLimit(limit, of: id) }
    }
  }

  /// Replaces the session's key now instead of when its time has come (section 7). ``events`` tells when it is done.
  ///
  /// - Returns: whether a re-key begins. It does not while one is under way, before the peer has confirmed the session, or
  ///   faster than ``Settings/rekeyBurst`` and ``Settings/rekeyRefill`` allow.
  @discardableResult
  public func rekey() async -> Bool {
    let id = id
    return await way.ask { driver in driver.rekey(id) } ?? false
  }

  /// Probes the peer now instead of after ``UDPOptions/keepAlive``. ``snapshot()`` has the time that its answer took, and when it was
  /// heard of last.
  public func probe() async {
    let id = id
    _ = await way.ask { driver in driver.probePeer(of: id) }
  }

  /// The same from anywhere, without waiting.
  package func probeSoon() {
    let id = id
    way.tell { driver in driver.probePeer(of: id) }
  }

  /// Ends the session here, after what was queued before has gone to the system, for which it waits two seconds at most. The peer is
  /// told, once: its session ends with `EndReason.closedByPeer` if the datagram arrives. Closing twice does no harm.
  public func close() async { await way.close(id) }
}
