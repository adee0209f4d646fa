// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPNIO

#if os(Linux)
  import CZSSPSocket
#endif

/// The queues between tasks and event loops keep their limits and their order.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct QueueRuleTests {
  @Test func whatWasReadLeavesItsRoom() async {
    let mailbox = BoundedAsyncQueue<Int>(.dropOldest, countLimit: 100, weightLimit: 10) { $0 }
    for _ in 0..<5 {
      #expect(mailbox.append(contentsOf: [5, 5]) == 0)
      #expect(await mailbox.next() == 5)
      #expect(await mailbox.next() == 5)
    }
    #expect(mailbox.append(contentsOf: [5, 5]) == 0)
    #expect(mailbox.takeAll() == [5, 5])
    #expect(mailbox.append(contentsOf: [5, 5]) == 0)
    mailbox.removeAll { _ in true }
    #expect(mailbox.append(contentsOf: [5, 5]) == 0 && mailbox.dropped == 0)
  }

  /// ``UDPOptions/messageBuffer``, ``UDPOptions/messageBufferBytes`` and
  /// ``UDPOptions/eventBuffer``: the newest stay.
  @Test func aSlowReadersInboxIsBounded() throws {
    var options = UDPOptions()
    options.messageBuffer = 4
    options.messageBufferBytes = 2500
    options.eventBuffer = 2
    let inbox = SessionInbox(options)
    let large = (0..<5 as Range<UInt8>).map { [UInt8](repeating: $0, count: 1000) }
    #expect(inbox.messages.append(contentsOf: large) == 3)
    #expect(inbox.messages.takeAll() == Array(large[3...]))
    // One message always has room.
    #expect(inbox.messages.append([UInt8](repeating: 9, count: 3000)) == 0)
    #expect(inbox.messages.append(contentsOf: (0..<6 as Range<UInt8>).map { [$0] }) == 3)
    #expect(inbox.messages.takeAll() == [[2], [3], [4], [5]])
    let id = try PlainHandshake().session
    for length in 1...5 { inbox.events.append(.rekeyed(id, chainLength: UInt64(length))) }
    #expect(inbox.events.takeAll().count == 2 && inbox.events.dropped == 3)
  }

  private func items(_ id: SessionID, count: Int, bytes: Int) -> [SendQueue.Item] {
    (0..<count).map { _ in SendQueue.Item(session: id, payload: .array([UInt8](repeating: 0, count: bytes))) }
  }

  /// A sender that comes when there is room again queues behind those that wait.
  @Test func nobodyOvertakesASenderThatWaits() async throws {
    let queue = SendQueue(limit: 1000) {}
    let first = try PlainHandshake().session
    let second = try waitingSession()
    // 300 bytes each count against the limit.
    #expect(await queue.send(items(first, count: 4, bytes: 236)) == nil)
    let items = items(second, count: 1, bytes: 1)
    let waiting = Task { await queue.send(items) }
    while !queue.holdsMessages(for: second) { try await Task.sleep(for: .milliseconds(1)) }
    #expect(queue.take(weight: 1).count == 1)
    // 900 bytes: there is room, and somebody waits.
    #expect(!queue.sendIfRoom(self.items(first, count: 1, bytes: 1)))
    while !queue.take(weight: 1).isEmpty {}
    #expect(await waiting.value == nil)
    #expect(queue.sendIfRoom(self.items(first, count: 1, bytes: 1)))
  }

  /// A session that differs from the first of an endpoint.
  private func waitingSession() throws -> SessionID {
    var endpoint = try Endpoint(makeConfiguration())
    let now = Instant(nanoseconds: 0)
    _ = try endpoint.open(to: makeConfiguration().staticKey.publicKey, at: Address(ipv4: 1, port: 1), now: now)
    return try endpoint.open(to: makeConfiguration().staticKey.publicKey, at: Address(ipv4: 1, port: 1), now: now)
  }

  /// A sender waits when the queue is full, and does not make it larger.
  @Test func aFullQueueTakesNothing() async throws {
    let queue = SendQueue(limit: 1000) {}
    let id = try PlainHandshake().session
    #expect(queue.sendIfRoom(items(id, count: 4, bytes: 236)))
    #expect(!queue.sendIfRoom(items(id, count: 1, bytes: 0)))
    #expect(queue.take(weight: .max).count == 4)
    #expect(queue.sendIfRoom(items(id, count: 1, bytes: 0)))
  }

  #if os(Linux)
    @Test func anEventLoopDoesNotSleepOnATask() {
      var tasks = EventLoopTasks()
      let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
      // Added while the thread is busy: it is not woken, so it must see it before it waits.
      #expect(!tasks.append {})
      #expect(tasks.prepareToWait(at: start) == 0)
      #expect(tasks.takeDue(at: start).count == 1)
      #expect(tasks.prepareToWait(at: start) == -1)
    }

    @Test func aBacklogThatWasTakenWeighsNothing() {
      var backlog = SendBacklog()
      let bytes = [UInt8](repeating: 1, count: 100)
      var taken: [czssp_outgoing] = []
      for _ in 0..<3 {
        bytes.withUnsafeBytes { backlog.append(czssp_outgoing($0, segmentSize: 100, to: Address(ipv4: 1, port: 1))) }
        #expect(backlog.byteCount == 100)
        backlog.take(into: &taken)
        #expect(backlog.byteCount == 0 && backlog.isEmpty)
        backlog.forgetTaken()
      }
      #expect(taken.count == 3)
    }

    /// Datagrams that the system refuses are remembered, each once in a row, and up to a limit.
    @Test func refusedDatagramsAreRemembered() {
      var refused = RefusedDatagrams()
      let address = Address(ipv4: 1, port: 1)
      func append(_ size: Int) {
        [UInt8](repeating: 1, count: size).withUnsafeBytes {
          refused.append(czssp_outgoing($0, segmentSize: size, to: address))
        }
      }
      #expect(refused.take().isEmpty)
      for size in [1400, 1400, 1300, 1400] { append(size) }
      #expect(refused.take() == [1400, 1300, 1400].map { RefusedDatagram(address: address, size: $0) })
      #expect(refused.take().isEmpty)
      for size in 1...100 { append(size) }
      #expect(refused.take().map(\.size) == Array(1...16))
    }
  #endif
}
