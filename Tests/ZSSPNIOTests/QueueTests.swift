// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOConcurrencyHelpers
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPNIO

/// The queues between tasks and the event loop, on their own.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct QueueTests {
  @Test func theOldestIsDropped() async {
    let mailbox = BoundedAsyncQueue<Int>(.dropOldest, countLimit: 3)
    #expect(mailbox.append(contentsOf: 1...5) == 2)
    mailbox.finish()
    #expect(mailbox.append(6) == 0)
    var elements: [Int] = []
    while let element = await mailbox.next() { elements.append(element) }
    #expect(elements == [3, 4, 5])
    #expect(mailbox.dropped == 2)
  }

  /// A queue that strangers can fill is bounded, and its owner is told once.
  @Test func handOversAreBounded() {
    let queue = CrossShardQueue(limit: 2)
    let source = Address(ipv4: 1, port: 2)
    var bytes: [UInt8] = [1, 2, 3]
    let outcomes = bytes.withUnsafeMutableBytes { bytes in (0..<3).map { _ in queue.append(bytes, from: source) } }
    #expect(outcomes == [.queuedFirst, .queued, .dropped])
    let taken = queue.take()
    #expect(taken.map(\.bytes) == [[1, 2, 3], [1, 2, 3]] && taken.allSatisfy { $0.source == source })
    #expect(queue.take().isEmpty)
    #expect(bytes.withUnsafeMutableBytes { queue.append($0, from: source) } == .queuedFirst)
  }

  @Test func theNewestIsRefused() async {
    let mailbox = BoundedAsyncQueue<Int>(.refuseNewest, countLimit: 2)
    #expect(mailbox.append(contentsOf: 1...4) == 2)
    mailbox.removeAll { $0 == 1 }
    #expect(mailbox.append(5) == 0)
    #expect(await mailbox.next() == 2)
    #expect(await mailbox.next() == 5)
  }

  @Test func weightIsBounded() async {
    let mailbox = BoundedAsyncQueue<Int>(.dropOldest, countLimit: 100, weightLimit: 10) { $0 }
    #expect(mailbox.append(contentsOf: [4, 4, 4]) == 1)
    #expect(mailbox.append(11) == 2)
    #expect(await mailbox.next() == 11)
  }

  @Test func cancellationEndsWaiting() async {
    let mailbox = BoundedAsyncQueue<Int>(.dropOldest, countLimit: 1)
    for round in 0..<200 {
      let waiting = Task { await mailbox.next() }
      if round.isMultiple(of: 2) { await Task.yield() }
      waiting.cancel()
      #expect(await waiting.value == nil)
    }
    // No waiter is left to take it.
    mailbox.append(1)
    #expect(await mailbox.next() == 1)
  }

  @Test func severalConsumersShare() async {
    let mailbox = BoundedAsyncQueue<Int>(.dropOldest, countLimit: 1000)
    let total = await withTaskGroup { group in
      for _ in 0..<8 {
        group.addTask {
          var sum = 0
          while let element = await mailbox.next() { sum += element }
          return sum
        }
      }
      for number in 1...500 {
        mailbox.append(number)
        if number.isMultiple(of: 7) { await Task.yield() }
      }
      mailbox.finish()
      return await group.reduce(0, +)
    }
    #expect(total == 500 * 501 / 2)
  }

  @Test func anOutcomeComesOnce() async {
    let outcome = Promise<Int>()
    #expect(!outcome.isResolved)
    async let value = outcome.value()
    #expect(outcome.resolve(1))
    #expect(!outcome.resolve(2))
    #expect(await value == 1)
  }

  /// Messages for any session: the queue does not look at it.
  private func items(_ sizes: Int...) async throws -> [SendQueue.Item] {
    var endpoint = try Endpoint(makeConfiguration())
    let id = try endpoint.open(
      to: endpoint.publicKey, at: Address(ipv4: 0, port: 1), now: Instant(nanoseconds: 0))
    return sizes.map { SendQueue.Item(session: id, payload: .array([UInt8](repeating: 0, count: $0))) }
  }

  @Test func sendersWaitWhileTheQueueIsFull() async throws {
    let wakes = SharedBox(0)
    let queue = SendQueue(limit: 1000) { wakes.update { $0 += 1 } }
    let items = try await items(600, 600)
    #expect(await queue.send(items) == nil)
    #expect(wakes.value == 1)
    let first = Task { await queue.send(items) }
    let cancelled = Task { await queue.send(items) }
    cancelled.cancel()
    guard case .cancelled? = await cancelled.value else { return unexpected("not cancelled") }
    var taken = 0
    while taken < 4 {
      taken += queue.take(weight: 1).count
      await Task.yield()
    }
    #expect(await first.value == nil)
    #expect(queue.take(weight: 1).isEmpty)
    #expect(await queue.send([items[0]]) == nil)
    #expect(wakes.value >= 2)
  }

  @Test func finishingFreesSenders() async throws {
    let queue = SendQueue(limit: 1) {}
    let items = try await items(10)
    #expect(await queue.send(items) == nil)
    let waiting = Task { await queue.send(items) }
    await Task.yield()
    #expect(queue.finish(.closed) == 1)
    guard case .closed? = await waiting.value else { return unexpected("not closed") }
    guard case .closed? = await queue.send(items) else { return unexpected("not closed") }
  }
}
