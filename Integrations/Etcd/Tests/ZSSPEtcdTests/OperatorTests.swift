// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP

@testable import ZSSPEtcd

extension OverEtcd {
  @Suite("What operators do while a fleet is up", .timeLimit(.minutes(20)))
  struct OperatorTests {
    private static let shared = Result { try EtcdNodes() }

    private let options: EtcdStoreOptions
    private let fleet: EtcdRatchetStore
    private let peer: PublicKey

    init() async throws {
      var options = try Self.shared.get().options()
      options.pause = (.milliseconds(1), .milliseconds(4))
      self.options = options
      fleet = try await EtcdRatchetStore.open(options, provider: .fastest)
      peer = try Sample.peer(1)
    }

    private func failure(_ body: () async throws -> Void) async throws -> EtcdStoreError? {
      do { try await body() } catch let error as EtcdStoreError { return error }
      return nil
    }

    /// The fleet makes a ratchet after it was found that there is none.
    @Test func whatIsNewerIsNotReplaced() async throws {
      let once = Once()
      let peer = peer
      let fleet = fleet
      let gate = Gate(try Cluster(options)) { _, request in
        if request.changesRow, once.first() {
          #expect(await fleet.swap(peer, .empty, Sample.pair(7)).isSwapped)
        }
        return .done
      }
      let store = try await EtcdRatchetStore.open(gate, options, .fastest)
      let error = try await failure { try await store.store([peer: RatchetRow(Sample.pair(1))], replaces: false) }
      #expect(error == .conflict(peers: 1) && once.hasHappened)
      #expect(await fleet.pair(peer) == Sample.pair(7))
      // Who says so replaces it all the same, and what is there already may be stored again.
      try await store.store([peer: RatchetRow(Sample.pair(1))], replaces: true)
      try await store.store([peer: RatchetRow(Sample.pair(1))], replaces: false)
      #expect(await fleet.pair(peer) == Sample.pair(1))
      await close(store)
      await close(fleet)
    }

    /// The swap without an answer was done, and the fleet has gone on from it.
    @Test func whatWasStoredIsNotStoredTwice() async throws {
      let lost = Once()
      let gone = Once()
      let peer = peer
      let fleet = fleet
      let gate = Gate(try Cluster(options)) { _, request in
        if request.changesRow, lost.first() { return .lostAnswer }
        if lost.hasHappened, gone.first() {
          #expect(await fleet.swap(peer, Sample.pair(1), Sample.pair(2)).isSwapped)
        }
        return .done
      }
      let store = try await EtcdRatchetStore.open(gate, options, .fastest)
      try await store.store([peer: RatchetRow(Sample.pair(1))], replaces: true)
      #expect(gone.hasHappened)
      #expect(await fleet.pair(peer) == Sample.pair(2))
      #expect(try await fleet.check() == [])
      await close(store)
      await close(fleet)
    }

    /// "Empty" and "no problems" would be taken for the truth.
    @Test func aStoreThatWasRemovedIsNotEmptyAndWell() async throws {
      #expect(await fleet.swap(peer, .empty, Sample.pair(1)).isSwapped)
      let cluster = try Cluster(options)
      var request = Etcdserverpb_TxnRequest()
      request.success = [.delete(Array("\(options.prefix)/".utf8), allWithPrefix: true)]
      _ = try await cluster.transact(request)
      await cluster.close()
      let replaced = EtcdStoreError.replaced(prefix: options.prefix)
      #expect(try await failure { _ = try await fleet.rows() } == replaced)
      #expect(try await failure { _ = try await fleet.check() } == replaced)
      #expect(try await failure { try await fleet.store([peer: RatchetRow()], replaces: true) } == replaced)
      await close(fleet)
      #expect(try await failure { _ = try await fleet.rows() } == .closed)
      #expect(try await failure { _ = try await fleet.check() } == .closed)
      #expect(try await failure { try await fleet.store([peer: RatchetRow()], replaces: true) } == .closed)
    }
  }
}
