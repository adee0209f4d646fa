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
    while let work = queue.next(where: { _ in true }) { kinds.append(work.kind) }
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

  @Test("an item that a thread cannot take keeps no other from it")
  func refused() throws {
    var queue = try queue([.proofOfWork, .proofOfWork, .hello, .rekey, .response])
    var taken: [PublicKeyWork.Kind] = []
    // At most one proof of work, and nothing that strangers cause.
    while let work = queue.next(where: { kind in
      kind.rank < .strangers && (kind != .proofOfWork || !taken.contains(.proofOfWork))
    }) {
      taken.append(work.kind)
    }
    #expect(taken == [.proofOfWork, .hello, .rekey])
    #expect(drain(&queue) == [.proofOfWork, .response])
  }

  @Test("the turn of the oldest item goes to the oldest one that a thread can take")
  func refusedTurn() throws {
    var queue = try queue([.helloReceived, .rekey] + Array(repeating: .hello, count: 8))
    var taken: [PublicKeyWork.Kind] = []
    while let work = queue.next(where: { $0.rank < .strangers }) { taken.append(work.kind) }
    #expect(taken == Array(repeating: .hello, count: 7) + [.rekey, .hello])
  }

  @Test("a batch takes proof of work together with other items")
  func batch() throws {
    let provider = PairingProvider()
    var queue = try queue([.proofOfWork, .hello, .proofOfWork, .rekey])
    var batch = PublicKeyBatch(provider)
    var taken: [PublicKeyWork.Kind] = []
    while let work = queue.next(where: { batch.admits($0) }) {
      batch.add(work)
      taken.append(work.kind)
    }
    #expect(taken == [.proofOfWork, .hello, .rekey] && queue.count == 1)
  }

  @Test("an emptied queue gives nothing")
  func removal() throws {
    var queue = try queue([.hello, .rekey, .response])
    queue.removeAll()
    #expect(queue.next(where: { _ in true }) == nil)
  }
}
