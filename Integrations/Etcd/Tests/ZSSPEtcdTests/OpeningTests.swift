// SPDX-License-Identifier: Apache-2.0
import Foundation
import InMemoryLogging
import Logging
import SwiftProtobuf
import Synchronization
import Testing
import ZSSP

@testable import ZSSPEtcd

extension OverEtcd {
  @Suite(
    "Stores that are found, or not", .timeLimit(.minutes(20)))
  struct OpeningTests {
    private static let shared = Result { try EtcdNodes() }

    private func put(_ key: String, _ value: [UInt8], _ options: EtcdStoreOptions) async throws {
      let cluster = try Cluster(options)
      var request = Etcdserverpb_TxnRequest()
      request.success = [.put(Array(key.utf8), value)]
      _ = try await cluster.transact(request)
      await cluster.close()
    }

    private func failure(_ options: EtcdStoreOptions, creates: Bool = true) async throws -> EtcdStoreError? {
      do throws(EtcdStoreError) {
        try await EtcdRatchetStore.open(options, provider: .fastest, creates: creates).close()
      } catch {
        return error
      }
      return nil
    }

    @Test func oneThatIsMadeByManyIsOne() async throws {
      let options = try Self.shared.get().options()
      let stores = try await withThrowingTaskGroup(of: EtcdRatchetStore.self) { group in
        for _ in 0..<4 { group.addTask { try await EtcdRatchetStore.open(options, provider: .fastest) } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      let peer = try Sample.peer(1)
      #expect(await stores[0].swap(peer, .empty, Sample.pair(1)).isSwapped)
      // All have the same key for tags.
      for store in stores {
        guard case .found(let state, peer) = await store.answer(.lookUp(Sample.state(1).fingerprint)) else {
          Issue.record("not found")
          continue
        }
        #expect(state.key == Sample.state(1).key)
      }
      for store in stores { await close(store) }
    }

    /// Another one makes the store, and writes to it, when the first has seen that there is none.
    @Test(arguments: 1...2)
    func oneThatIsMadeMeanwhileIsFound(call: Int) async throws {
      let options = try Self.shared.get().options()
      let once = Once()
      let peer = try Sample.peer(1)
      let gate = Gate(try Cluster(options)) { number, _ in
        if number == call, once.first() {
          let other = try await EtcdRatchetStore.open(options, provider: .fastest)
          #expect(await other.swap(peer, .empty, Sample.pair(1)).isSwapped)
          await close(other)
        }
        return .done
      }
      let store = try await EtcdRatchetStore.open(gate, options, .fastest)
      #expect(await store.pair(peer) == Sample.pair(1))
      await close(store)
    }

    @Test func noneIsMadeUnlessItMayBe() async throws {
      let options = try Self.shared.get().options()
      #expect(try await failure(options, creates: false) == .missing(prefix: options.prefix))
    }

    @Test func somethingElseIsLeftAlone() async throws {
      let options = try Self.shared.get().options()
      try await put("\(options.prefix)/something", [1], options)
      #expect(try await failure(options) == .notOurs(prefix: options.prefix))
      try await put("\(options.prefix)/store", [255, 255], options)
      #expect(try await failure(options) == .notOurs(prefix: options.prefix))
    }

    @Test func aLaterVersionIsLeftAlone() async throws {
      let options = try Self.shared.get().options()
      var head = Zsspetcd_StoredHead()
      (head.version, head.tagKey) = (9, Data(repeating: 1, count: 32))
      try await put("\(options.prefix)/store", try head.serializedBytes(), options)
      #expect(try await failure(options) == .newer(version: 9, known: 1))
    }

    @Test func theKeyMustBeRight() async throws {
      var plain = try Self.shared.get().options()
      var encrypted = try Self.shared.get().options()
      encrypted.key = Sample.key
      #expect(try await failure(plain) == nil)
      #expect(try await failure(encrypted) == nil)
      plain.key = Sample.key
      #expect(try await failure(plain) == .keyNotNeeded(prefix: plain.prefix))
      encrypted.key = Secret(copying: [UInt8](repeating: 8, count: 32).span.bytes)
      #expect(try await failure(encrypted) == .wrongKey(prefix: encrypted.prefix))
      encrypted.key = nil
      #expect(try await failure(encrypted) == .keyNeeded(prefix: encrypted.prefix))
      encrypted.key = .zeros(5)
      #expect(try await failure(encrypted) == .keySize(5))
    }

    /// To say that nobody has a row would be a downgrade for all.
    @Test func aStoreThatWasRemovedIsNotAnEmptyOne() async throws {
      var options = try Self.shared.get().options()
      let failures = Mutex<[EtcdStoreError]>([])
      options.onFailure = { error in failures.withLock { $0.append(error) } }
      let log = InMemoryLogHandler()
      options.logger = Logger(label: "etcd") { _ in log }
      options.logger?.logLevel = .trace
      let store = try await EtcdRatchetStore.open(options, provider: .fastest)
      let peer = try Sample.peer(1)
      #expect(await store.swap(peer, .empty, Sample.pair(1)).isSwapped)
      let cluster = try Cluster(options)
      var request = Etcdserverpb_TxnRequest()
      request.success = [.delete(Array("\(options.prefix)/".utf8), allWithPrefix: true)]
      _ = try await cluster.transact(request)
      await cluster.close()
      let other = try await EtcdRatchetStore.open(options, provider: .fastest)
      let name = Sample.state(1).fingerprint
      for request in [StoreRequest.load(peer: peer), .lookUp(name), .revoke(name, peer: peer)] {
        #expect(await store.answer(request).isFailed)
      }
      #expect(await store.swap(peer, Sample.pair(1), Sample.pair(2)).isFailed)
      #expect(await other.pair(peer) == .empty)
      // Said once.
      #expect(failures.withLock { $0 } == [.replaced(prefix: options.prefix)])
      await close(store)
      await close(other)
      let place = "etcd:\(options.prefix)"
      let messages = log.entries.filter { $0.metadata["zssp.store"] == "\(place)" }.map { "\($0.message)" }
      #expect(messages.filter { $0 == "ratchet store opened" }.count == 2)
      #expect(messages.filter { $0 == "the ratchet store fails" }.count == 1)
      #expect(messages.filter { $0 == "ratchet store closed" }.count == 2)
      // Nothing of the states is among what is logged.
      let fields: Set = ["zssp.store", "zssp.reason", "zssp.is_encrypted"]
      #expect(log.entries.allSatisfy { fields.isSuperset(of: $0.metadata.keys) })
    }

    @Test func damageIsNoticed() async throws {
      let options = try Self.shared.get().options()
      let store = try await EtcdRatchetStore.open(options, provider: .fastest)
      let peer = try Sample.peer(1)
      let other = try Sample.peer(2)
      #expect(await store.swap(peer, .empty, Sample.pair(1)).isSwapped)
      #expect(await store.swap(other, .empty, Sample.pair(1, of: 1)).isSwapped)
      #expect(try await store.check() == [])
      try await put("\(options.prefix)/peers/\(peer.hexadecimal)", [1, 2, 3], options)
      #expect(await store.answer(.load(peer: peer)).isFailed)
      #expect(await store.swap(peer, Sample.pair(1), Sample.pair(2)).isFailed)
      #expect(await store.pair(other) == Sample.pair(1, of: 1))
      #expect(try await store.check().count == 2)
      await close(store)
    }

    @Test func afterItWasClosedAllFails() async throws {
      let store = try await EtcdRatchetStore.open(try Self.shared.get().options(), provider: .fastest)
      #expect(await store.swap(try Sample.peer(1), .empty, Sample.pair(1)).isSwapped)
      try await store.close()
      try await store.close()
      #expect(await store.answer(.load(peer: try Sample.peer(1))).isFailed)
    }
  }
}
