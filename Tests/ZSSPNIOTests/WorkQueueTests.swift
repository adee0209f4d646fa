// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPNIO

/// The order of public-key work.
@Suite(.tags(.fast))
struct WorkQueueTests {
  private let items: [PublicKeyWork.Kind: PublicKeyWork]

  init() throws {
    let plain = try PlainHandshake().work
    items = plain.merging(try PlainHandshake(isChallenged: true).work) { first, _ in first }
  }

  private func queue(_ kinds: [PublicKeyWork.Kind]) throws -> WorkQueue {
    var queue = WorkQueue()
    for kind in kinds { queue.append(try #require(items[kind])) }
    return queue
  }

  private func drain(_ queue: inout WorkQueue) -> [PublicKeyWork.Kind] {
    var kinds: [PublicKeyWork.Kind] = []
    while let work = queue.next(isAlone: true) { kinds.append(work.kind) }
    return kinds
  }

  @Test("handshakes come before re-keys, and re-keys before strangers; each kind in order")
  func ranks() throws {
    var queue = try queue([.helloReceived, .rekey, .hello, .response, .completionReceived, .rekeyReceived])
    #expect(queue.count == 6)
    #expect(
      drain(&queue) == [.hello, .completionReceived, .rekey, .rekeyReceived, .helloReceived, .response])
    #expect(queue.count == 0)
  }

  @Test("every eighth item is the oldest, so a flood of better ones keeps nobody waiting for ever")
  func age() throws {
    var queue = try queue([.helloReceived] + Array(repeating: .responseReceived, count: 20))
    #expect(
      Array(drain(&queue).prefix(9)) == Array(repeating: .responseReceived, count: 7) + [
        .helloReceived, .responseReceived,
      ])
  }

  @Test("proof of work waits until the thread has nothing else")
  func proofOfWork() throws {
    var queue = try queue([.proofOfWork, .hello])
    #expect(queue.next(isAlone: false) == nil)
    #expect(queue.next(isAlone: true)?.kind == .proofOfWork)
    #expect(queue.next(isAlone: false)?.kind == .hello)
    #expect(queue.next(isAlone: true) == nil)
  }

  @Test("an emptied queue gives nothing")
  func removal() throws {
    var queue = try queue([.hello, .rekey, .response])
    queue.removeAll()
    #expect(queue.next(isAlone: true) == nil)
  }
}
