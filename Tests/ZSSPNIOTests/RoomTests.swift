// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPNIO

/// A task that waits for the socket is resumed by the socket, and by nothing that may end before
/// it.
@Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
struct RoomTests {
  private let eventLoop = Transport.default.eventLoopGroup.next()

  private func connected(_ options: UDPOptions = UDPOptions()) async throws -> (
    pair: NIOLoopBound<DriverPair>, client: Session, server: Session
  ) { try await DriverPair.connected(options, on: eventLoop) }

  /// Runs `body` on the event loop, and then whatever that put there.
  private func onLoop<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    let value = try await eventLoop.submit(body).get()
    for _ in 0..<3 { try await eventLoop.submit {}.get() }
    return value
  }

  /// Fills the client's socket and has somebody wait for room, through the session.
  private func wait(_ pair: NIOLoopBound<DriverPair>, on session: Session) async throws -> SharedBox<Int> {
    let resumed = SharedBox(0)
    try await onLoop {
      pair.value.clientPort.setFull(true)
      let isSent = try session.sendMessagesNow { _ in }
      #expect(!isSent)
      session.whenRoom { resumed.update { $0 += 1 } }
    }
    #expect(resumed.value == 0)
    return resumed
  }

  @Test func theEndOfASessionDoesNotKeepAnyoneWaiting() async throws {
    let (pair, client, _) = try await connected()
    let resumed = try await wait(pair, on: client)
    // Nothing is queued for it, so that it ends at once.
    await client.close()
    #expect(client.endReason == .closed && resumed.value == 0)
    try await onLoop { pair.value.clientPort.setFull(false) }
    #expect(resumed.value == 1)
    // Once is enough.
    try await onLoop { pair.value.clientPort.setFull(true) }
    try await onLoop { pair.value.clientPort.setFull(false) }
    #expect(resumed.value == 1)
  }

  @Test func anotherSocketHasRoom() async throws {
    let (pair, client, _) = try await connected()
    let resumed = try await wait(pair, on: client)
    try await onLoop {
      let driver = pair.value.client
      // As when NIO closes a channel: the driver binds another, and is told of it.
      driver.portOpened(FakePort(driver), localAddress: driver.socket.localAddress)
    }
    #expect(resumed.value == 1)
  }

  @Test func theEndpointsEndResumes() async throws {
    let (pair, client, _) = try await connected()
    let resumed = try await wait(pair, on: client)
    try await onLoop { pair.value.client.close() }
    #expect(resumed.value == 1)
    // And later nobody has to wait.
    try await onLoop { client.whenRoom { resumed.update { $0 += 1 } } }
    #expect(resumed.value == 2)
    await #expect(throws: UDPError.self) { try await self.onLoop { _ = try client.sendMessagesNow { _ in } } }
  }

  /// A wait ends within one turn of the event loop if there is room already.
  @Test func thereMayBeRoomAlready() async throws {
    let (_, client, _) = try await connected()
    let resumed = SharedBox(0)
    try await onLoop {
      client.whenRoom { resumed.update { $0 += 1 } }
      #expect(resumed.value == 0)
    }
    #expect(resumed.value == 1)
  }

  /// The queue of messages and those who wait for room take turns, although each fills the socket
  /// whenever it can.
  @Test func theQueueDoesNotStarveWhoWaits() async throws {
    var options = UDPOptions()
    options.sendBuffer = 1 << 20
    let (pair, client, _) = try await connected(options)
    let turns = SharedBox<[String]>([])
    @Sendable func fill(_ who: String) {
      turns.update { $0.append(who) }
      pair.value.clientPort.setFull(true)
    }
    @Sendable func queueAgain() {
      _ = try? client.sendMessagesIfRoom(ofBytes: 1 << 20) { _ in
        queueAgain()
        fill("queue")
      }
    }
    @Sendable func waitAgain() {
      client.whenRoom {
        waitAgain()
        fill("waiter")
      }
    }
    try await onLoop {
      pair.value.clientPort.setFull(true)
      queueAgain()
      waitAgain()
    }
    for _ in 0..<20 { try await onLoop { pair.value.clientPort.setFull(false) } }
    #expect(turns.value.count { $0 == "queue" } >= 9 && turns.value.count { $0 == "waiter" } >= 9, "\(turns.value)")
  }

  /// Senders that wait for room in the queue learn that their session has ended, although the
  /// socket stays full.
  @Test func sendersLearnThatTheirSessionHasEnded() async throws {
    var options = UDPOptions()
    options.sendBuffer = 1
    let (pair, client, _) = try await connected(options)
    try await onLoop { pair.value.clientPort.setFull(true) }
    // The queue is full with one.
    try await client.send([1])
    let waiting = (0..<3).map { number in Task { try await client.send([UInt8(number)]) } }
    while await !isWaited(pair, for: 3) { try await Task.sleep(for: .milliseconds(1)) }
    try await onLoop { pair.value.client.close(client.id) }
    for task in waiting {
      guard case .failure(let error) = await task.result, case .sessionEnded(.closed)? = error as? UDPError else {
        return unexpected("a sender that waited was not told")
      }
    }
    // One that comes too late to be told then is told now.
    await #expect(throws: UDPError.self) { try await client.send([2]) }
  }

  @Test func sendersLearnThatTheEndpointIsClosed() async throws {
    var options = UDPOptions()
    options.sendBuffer = 1
    let (pair, client, _) = try await connected(options)
    try await onLoop { pair.value.clientPort.setFull(true) }
    try await client.send([1])
    let waiting = Task { try await client.send([2]) }
    while await !isWaited(pair, for: 1) { try await Task.sleep(for: .milliseconds(1)) }
    try await onLoop { pair.value.client.close() }
    guard case .failure(let error) = await waiting.result, case .closed? = error as? UDPError else {
      return unexpected("a sender that waited was not told")
    }
    // What was queued, and is dropped without anybody being told, is counted.
    #expect(try await onLoop { pair.value.client.counters.messagesUnsent } == 1)
  }

  private func isWaited(_ pair: NIOLoopBound<DriverPair>, for count: Int) async -> Bool {
    (try? await onLoop { pair.value.client.sendQueue.waiterCount }) == count
  }
}
