// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPNIO

/// The documented ends of sessions and endpoints: by ``Session/close()``, ``UDPEndpoint/close()``,
/// or other causes.
@Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
struct CloseTests {
  private let eventLoop = Transport.default.eventLoopGroup.next()

  private func connected(_ options: UDPOptions = UDPOptions()) async throws -> (
    pair: NIOLoopBound<DriverPair>, client: Session, server: Session
  ) { try await DriverPair.connected(options, on: eventLoop) }

  private func onLoop<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await eventLoop.submit(body).get()
  }

  /// The object that is closed while a burst of reads is not complete.
  enum End: CaseIterable { case session, endpoint }

  /// The messages of a burst that the end comes in are delivered before it.
  @Test(arguments: End.allCases) func theLastMessagesComeBeforeTheEnd(end: End) async throws {
    let (pair, client, server) = try await connected()
    try await client.send(contentsOf: [[1], [2]])
    while try await onLoop({ pair.value.clientPort.sent.isEmpty }) { try await Task.sleep(for: .milliseconds(1)) }
    try await onLoop {
      let driver = pair.value.server
      for datagram in pair.value.clientPort.takeSent() {
        DriverPair.read(datagram, by: driver, from: DriverPair.clientAddress)
      }
      switch end {
      case .session: driver.close(server.id)
      case .endpoint: driver.close()
      }
    }
    #expect(server.endReason == .closed)
    var messages: [[UInt8]] = []
    for await message in server.messages { messages.append(message) }
    #expect(messages == [[1], [2]])
    var last: SessionEvent?
    for await event in server.events { last = event }
    guard case .ended(.closed)? = last else { return unexpected(last) }
  }

  /// A handler has its burst completed, and is let go of.
  @Test(arguments: End.allCases) func aHandlersBurstIsCompletedBeforeTheEnd(end: End) async throws {
    final class Recorder: MessageHandler {
      let heard = SharedBox<[String]>([])
      func receive(_ message: RawSpan) { heard.update { $0.append("message") } }
      func burstEnded() { heard.update { $0.append("end") } }
    }
    let (pair, client, server) = try await connected()
    let heard: SharedBox<[String]>
    weak var released: Recorder?
    do {
      let recorder = Recorder()
      heard = recorder.heard
      released = recorder
      try await server.setMessageHandler(recorder)
    }
    #expect(released != nil)
    try await client.send([1])
    while try await onLoop({ pair.value.clientPort.sent.isEmpty }) { try await Task.sleep(for: .milliseconds(1)) }
    try await onLoop {
      let driver = pair.value.server
      for datagram in pair.value.clientPort.takeSent() {
        DriverPair.read(datagram, by: driver, from: DriverPair.clientAddress)
      }
      switch end {
      case .session: driver.close(server.id)
      case .endpoint: driver.close()
      }
    }
    #expect(heard.value == ["message", "end"])
    #expect(released == nil)
  }

  /// Queued messages go to the socket before the end, although the socket is full when the end is
  /// requested.
  @Test(arguments: End.allCases) func whatWasQueuedGoesBeforeTheEnd(end: End) async throws {
    let (pair, client, _) = try await connected()
    try await onLoop { pair.value.clientPort.setFull(true) }
    try await client.send([1])
    let closed = try await onLoop {
      let driver = pair.value.client
      switch end {
      case .session: return driver.closeWhenSent(client.id)
      case .endpoint:
        driver.closeWhenSent()
        return driver.closedPromise.futureResult
      }
    }
    // The end was asked for, and waits.
    #expect(client.endReason == nil)
    try await onLoop { pair.value.clientPort.setFull(false) }
    try await closed.get()
    #expect(client.endReason == .closed)
    // The message, and the end of the session.
    #expect(try await onLoop { pair.value.clientPort.sent.count } == 2)
    #expect(try await onLoop { pair.value.client.counters.messagesUnsent } == 0)
  }

  /// An endpoint also waits for what its socket still keeps.
  @Test func closingWaitsForWhatTheSocketKeeps() async throws {
    let (pair, client, _) = try await connected()
    let closed = try await onLoop {
      pair.value.clientPort.hasUnsent = true
      pair.value.client.closeWhenSent()
      return pair.value.clientHandle.closed
    }
    #expect(client.endReason == nil)
    try await onLoop { pair.value.clientPort.hasUnsent = false }
    try await closed.get()
    #expect(client.endReason == .closed)
    #expect(try await onLoop { pair.value.clientPort.isClosed })
  }

  @Test func allSequencesEndWithTheEndpoint() async throws {
    let pair = try await Pair.connected()
    let reading = [
      Task { for await _ in pair.server.incoming {} }, Task { for await _ in pair.server.downgrades {} },
      Task { for await _ in pair.serverSession.messages {} }, Task { for await _ in pair.serverSession.events {} },
    ]
    await pair.server.close()
    for task in reading { await task.value }
    // And they stay so.
    for await _ in pair.server.incoming {}
    for await _ in pair.server.downgrades {}
    for await _ in pair.serverSession.messages {}
    await pair.close()
  }

  /// A task that waits for the session of an accepted handshake learns that the endpoint is closed.
  @Test func acceptingEndsWithTheEndpoint() async throws {
    let store = HangingStore { request, _ in if case .compareAndSwap = request { true } else { false } }
    let server = try await makeEndpoint(store: store)
    let client = try await makeEndpoint()
    let connecting = Task { try? await client.connect(to: server.localAddress, key: server.publicKey) }
    let accepting = Task { try await acceptFirst(server) }
    while await store.hanging == 0 { try await Task.sleep(for: .milliseconds(1)) }
    await server.close()
    guard case .failure(let error) = await accepting.result, case .closed? = error as? UDPError else {
      return unexpected("whoever accepted was not told")
    }
    connecting.cancel()
    _ = await connecting.value
    await client.close()
    await store.goOn()
  }

  /// A closed endpoint is freed: no timer, no unanswered store request and no queue refers to it.
  @Test func nothingIsLeftOfAClosedEndpoint() async throws {
    final class WeakDriver: @unchecked Sendable {
      // Written once, before it is shared.
      weak var driver: Driver?
      init(_ driver: Driver) { self.driver = driver }
    }
    let store = HangingStore { _, _ in true }
    var options = UDPOptions()
    options.storeTimeout = .seconds(24 * 3600)
    let eventLoop = eventLoop
    let settled = options
    let left = try await onLoop {
      let driver = try Driver(
        makeConfiguration(), store: store, options: settled, mailboxes: EndpointMailboxes(settled), eventLoop: eventLoop
      )
      driver.portOpened(FakePort(driver), localAddress: DriverPair.clientAddress.socketAddress)
      let request = ConnectRequest(
        address: DriverPair.serverAddress, key: makeConfiguration().staticKey.publicKey, identity: [], flags: nil,
        timeout: .seconds(24 * 3600))
      driver.connect(request, for: SessionOutcome())
      driver.whenRoom {}
      return WeakDriver(driver)
    }
    // The store is asked, and does not answer.
    while await store.hanging == 0 { try await Task.sleep(for: .milliseconds(1)) }
    #expect(try await onLoop { left.driver != nil })
    try await onLoop { left.driver?.close() }
    while try await onLoop({ left.driver != nil }) { try await Task.sleep(for: .milliseconds(1)) }
    await store.goOn()
  }

  /// A socket that cannot be replaced ends the endpoint, and everyone who waits is told why.
  @Test func aSocketThatCannotBeReplacedEndsTheEndpoint() async throws {
    struct NoMore: Error {}
    let channels = SharedBox<[any Channel]>([])
    var options = UDPOptions()
    options.configureChannel = { channel in
      let isFirst = channels.update { channels in
        defer { channels.append(channel) }
        return channels.isEmpty
      }
      if !isFirst { throw NoMore() }
    }
    let server = try await makeEndpoint(options: options, on: .channels)
    let silent = try await makeEndpoint(flags: .persistent)
    let running = Task { try await server.run() }
    let listening = Task { for await _ in server.incoming {} }
    let connecting = Task { try await server.connect(to: silent.localAddress, key: silent.publicKey) }
    try await wait(for: server) { $0.sessions == 1 }
    try await channels.value.first?.close()
    for result in [await running.result, await connecting.result.map { _ in }] {
      guard case .failure(let error) = result, case .transport? = error as? UDPError else {
        unexpected(result)
        continue
      }
    }
    await listening.value
    await server.close()
    await silent.close()
  }
}
