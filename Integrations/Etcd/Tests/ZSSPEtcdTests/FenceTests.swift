// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing
import ZSSP

@testable import ZSSPEtcd

extension OverEtcd {
  @Suite("Fences and marks", .timeLimit(.minutes(20)))
  struct FenceTests {
    private static let shared = Result { try EtcdNodes() }

    private let options: EtcdStoreOptions
    private let cluster: Cluster
    private let keys: Keys

    init() async throws {
      var options = try Self.shared.get().options()
      options.pause = (.milliseconds(1), .milliseconds(4))
      self.options = options
      (cluster, keys) = (try Cluster(options), Keys(prefix: options.prefix))
    }

    /// The mark that tells that a swap was done is removed with the fence, by `remover`, before
    /// anybody reads it.
    private func swapWhoseMarkIsRemoved(
      beforeCall offset: Int, _ remover: @escaping @Sendable (EtcdRatchetStore?) async throws -> Void
    ) async throws -> (StoreAnswer, RatchetPair?) {
      let stores = Mutex<EtcdRatchetStore?>(nil)
      let written = Mutex<Int?>(nil)
      let gate = Gate(try Cluster(options)) { number, request in
        if written.withLock({ $0 == nil }), request.changesRow {
          written.withLock { $0 = number }
          return .lostAnswer
        }
        if written.withLock({ $0.map { $0 + offset == number } ?? false }) {
          try await remover(stores.withLock(\.self))
        }
        return .done
      }
      let store = try await EtcdRatchetStore.open(gate, options, .fastest)
      stores.withLock { $0 = store }
      let answer = await store.swap(try Sample.peer(1), .empty, Sample.pair(1))
      stores.withLock { $0 = nil }
      let other = try await EtcdRatchetStore.open(options, provider: .fastest)
      let held = await other.pair(try Sample.peer(1))
      await close(store)
      await close(other)
      return (answer, held)
    }

    @Test func aSwapWhoseMarkAnotherStoreRemovedIsNotDenied() async throws {
      let other = Fence(cluster, keys, name: .name(), age: Fence.Age(removed: -1))
      // The call after the write raises the fence, unless it looks for old ones first.
      let (answer, held) = try await swapWhoseMarkIsRemoved(beforeCall: 1) { _ in try await other.tidy() }
      #expect(answer.isFailed && held == Sample.pair(1))
      await cluster.close()
    }

    @Test func aSwapWhoseMarkWentWithTheClosingIsNotDenied() async throws {
      // The one after that reads the mark.
      let (answer, held) = try await swapWhoseMarkIsRemoved(beforeCall: 2) { store in
        try await store?.core.fence.close()
      }
      #expect(answer.isFailed && held == Sample.pair(1))
      await cluster.close()
    }

    @Test func aSwapWhoseMarkIsThereWasDone() async throws {
      let (answer, held) = try await swapWhoseMarkIsRemoved(beforeCall: 2) { _ in }
      #expect(answer.isSwapped && held == Sample.pair(1))
      await cluster.close()
    }

    /// Returns the keys that exist.
    private func have(_ keys: [UInt8]...) async throws -> [Bool] {
      var request = Etcdserverpb_TxnRequest()
      request.success = keys.map { .get($0) }
      let response = try await cluster.transact(request)
      return keys.indices.map { response.read($0) != nil }
    }

    private func put(_ key: [UInt8]) async throws {
      var request = Etcdserverpb_TxnRequest()
      request.success = [.put(key, [1])]
      _ = try await cluster.transact(request)
    }

    /// A fence that is raised after it was found to be old is in use, and its marks are asked for.
    @Test func oldFencesAreRemovedWithTheirMarksUnlessTheyAreRaisedMeanwhile() async throws {
      let old = Fence(cluster, keys, name: .name())
      let mark = keys.mark(old.name, .name())
      let first = try await old.raised()
      try await put(mark)
      // Marks are older than the fence that is raised next, and no fences themselves.
      await old.fall(first, isInDoubt: false)
      let second = try await old.raised()
      let gate = Gate(cluster) { number, _ in
        if number == 2 {
          await old.fall(second, isInDoubt: false)
          _ = try await old.raised()
        }
        return .done
      }
      let other = Fence(gate, keys, name: .name(), age: Fence.Age(removed: -1))
      try await other.tidy()
      #expect(try await have(old.key, mark) == [true, true])
      try await Fence(cluster, keys, name: .name()).tidy()
      #expect(try await have(old.key, mark) == [true, true])
      try await other.tidy()
      #expect(try await have(old.key, mark) == [false, false])
      await cluster.close()
    }

    /// The store that writes most must not be the one whose fence is the oldest.
    @Test func aStoreThatWritesKeepsItsFenceYoung() async throws {
      let head = try await Head.open(cluster, options, .fastest, creates: true)
      let core = StoreCore(cluster, options, .fastest, head, age: Fence.Age(refreshed: 3, removed: 8))
      let store = EtcdRatchetStore(core)
      let peer = try Sample.peer(1)
      for number in UInt64(0)..<20 {
        #expect(await store.swap(peer, Sample.pair(number), Sample.pair(number + 1)).isSwapped)
      }
      let other = Fence(cluster, keys, name: .name(), age: Fence.Age(removed: 8))
      try await other.tidy()
      #expect(try await have(core.fence.key) == [true])
      for _ in 0..<10 { try await put(keys.mark(.name(), .name())) }
      try await other.tidy()
      #expect(try await have(core.fence.key) == [false])
      // It raises another.
      #expect(await store.swap(peer, Sample.pair(20), Sample.pair(21)).isSwapped)
      await close(store)
      let left = try Cluster(options)
      let fences = try await left.range(Etcdserverpb_RangeRequest(prefix: keys.fences))
      #expect(fences.kvs.isEmpty)
      await left.close()
    }
  }
}
