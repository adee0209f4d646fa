// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing
import ZSSP

@testable import ZSSPEtcd

extension OverEtcd {
  @Suite("Requests that have to wait", .timeLimit(.minutes(20)))
  struct WaitingTests {
    private static let shared = Result { try EtcdNodes() }

    private let options: EtcdStoreOptions

    init() async throws {
      var options = try Self.shared.get().options()
      options.pause = (.milliseconds(1), .milliseconds(4))
      self.options = options
    }

    /// All writes of a row get no answer until the request is given up. What is said of the row
    /// then must stay true, though they come later, when the row is still the one that they began
    /// from.
    @Test(arguments: [0, 1])
    func whatIsSaidAfterAFailureStaysTrue(number: UInt64) async throws {
      let peer = try Sample.peer(1)
      let isHolding = Flag()
      let first = try await EtcdRatchetStore.open(options, provider: .fastest)
      if number > 0 { #expect(await first.swap(peer, .empty, Sample.pair(number)).isSwapped) }
      var short = options
      (short.timeout, short.callTimeout) = (.milliseconds(300), .milliseconds(300))
      let gate = Gate(try Cluster(options)) { _, request in isHolding.isRaised && request.changesRow ? .held : .done }
      let store = try await EtcdRatchetStore.open(gate, short, .fastest)
      isHolding.raise()
      let old = Sample.pair(number)
      let new = Sample.pair(number + 1)
      #expect(await store.swap(peer, old, new).isFailed)
      #expect(await store.pair(peer) == old)
      #expect(await store.answer(.lookUp(new.state1.fingerprint)).isUnknown)
      #expect(try await gate.release() > 0)
      #expect(await store.pair(peer) == old)
      #expect(await store.answer(.lookUp(new.state1.fingerprint)).isUnknown)
      await close(store)
      await close(first)
    }

    /// A task that is cancelled does not go on, and does not go on without a pause.
    @Test func openingEndsWhenItIsCancelled() async throws {
      let gate = Gate(try Cluster(options)) { number, _ in
        if number == 3 { withUnsafeCurrentTask { $0?.cancel() } }
        return .lost
      }
      let opening = Task { [options] in try await EtcdRatchetStore.open(gate, options, .fastest) }
      await #expect(throws: EtcdStoreError.self) { try await opening.value }
      #expect(gate.count == 3)
    }

    /// Whoever closes a store does not wait for requests that have no hope.
    @Test func requestsEndWhenTheStoreIsClosed() async throws {
      let once = Once()
      let stores = Mutex<EtcdRatchetStore?>(nil)
      let gate = Gate(try Cluster(options)) { _, request in
        guard request.changesRow, once.first() else { return .done }
        try await stores.withLock(\.self)?.close()
        return .lost
      }
      let store = try await EtcdRatchetStore.open(gate, options, .fastest)
      stores.withLock { $0 = store }
      #expect(await store.swap(try Sample.peer(1), .empty, Sample.pair(1)).isFailed)
      stores.withLock { $0 = nil }
      let count = gate.count
      // One more: the fence is removed. Nothing is tried again.
      #expect(once.hasHappened && store.statistics.repeatedCalls <= 1)
      #expect(await store.answer(.load(peer: try Sample.peer(1))).isFailed)
      #expect(gate.count == count)
    }
  }
}
