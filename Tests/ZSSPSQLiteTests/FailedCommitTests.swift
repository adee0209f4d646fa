// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import CPowerCut
  import Foundation
  import GRDB
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPSwiftCrypto

  @testable import ZSSPSQLite

  /// A commit that fails neither stops the store nor reveals what it has not written.
  @Suite("After a commit that failed", .tags(.slow), .timeLimit(.minutes(20)))
  struct FailedCommitTests {
    private struct Refused: Error {}

    /// A store whose commits fail while `isBroken`.
    private func open(
      _ database: Database, isBroken: Shared<Bool>, change: (inout SQLiteStoreOptions) -> Void = { _ in }
    ) throws -> StoreCore {
      var options = SQLiteStoreOptions()
      options.willCommit = { _ in if isBroken.value { throw Refused() } }
      change(&options)
      return try StoreCore(database.path, provider: SwiftCryptoProvider(), options: options)
    }

    private func close(_ core: StoreCore) throws { try core.queue.sync { try core.close() } }

    private func swap(
      _ core: StoreCore, peer: PublicKey, from expected: RatchetPair, to new: RatchetPair
    ) async -> StoreAnswer {
      await core.change(peer, kind: .swap(expected: expected, new: new))
    }

    /// Waits until a key is nowhere in the files. The suite's time limit ends this if it never
    /// comes.
    private func waitUntilErased(_ state: RatchetState, in database: Database) async throws {
      while try database.bytes().contains(state.keyBytes) { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test("bug: one commit that failed before erasure was due stopped erasure for ever")
    func erasureGoesOn() async throws {
      let database = try Database()
      let isBroken = Shared(false)
      let peer = try Sample.peer(1)
      let core = try open(database, isBroken: isBroken) { $0.eraseAfter = .zero }
      #expect(await swap(core, peer: peer, from: .empty, to: RatchetPair(Sample.state(1))).isSwapped)
      core.queue.sync {
        // In one step on the queue: erasure becomes due, and the connection is discarded.
        core.scheduleErasure()
        core.discardForTest()
      }
      for number in UInt64(2)...4 {
        let held = RatchetPair(Sample.state(number - 1))
        let new = RatchetPair(Sample.state(number))
        #expect(await swap(core, peer: peer, from: held, to: new).isSwapped)
        try await waitUntilErased(held.state1, in: database)
      }
      try close(core)
    }

    /// No request may ever come again.
    @Test func whatItLeavesIsErasedWithoutARequest() async throws {
      let database = try Database()
      let isBroken = Shared(false)
      let peer = try Sample.peer(1)
      let core = try open(database, isBroken: isBroken) { $0.eraseAfter = .milliseconds(1) }
      #expect(await swap(core, peer: peer, from: .empty, to: RatchetPair(Sample.state(1))).isSwapped)
      #expect(
        await swap(core, peer: peer, from: RatchetPair(Sample.state(1)), to: RatchetPair(Sample.state(2))).isSwapped)
      isBroken.change { $0 = true }
      #expect(
        await swap(core, peer: peer, from: RatchetPair(Sample.state(2)), to: RatchetPair(Sample.state(3))).isFailed)
      for state in [Sample.state(1), Sample.state(3)] { try await waitUntilErased(state, in: database) }
      while core.state.withLock({ $0.connection }) == nil { try await Task.sleep(for: .milliseconds(1)) }
      try close(core)
    }

    /// Swaps whose log cannot be emptied when that is due, on a disk that fails and works again.
    @Test func erasureIsTriedUntilItWorks() async throws {
      #expect(powercut_register() == 1)
      let database = try Database()
      let reports = Shared(0)
      let peer = try Sample.peer(1)
      let core = try open(database, isBroken: Shared(false)) { options in
        options.eraseAfter = .zero
        options.fileSystem = "powercut"
        options.onFailure = { _ in reports.change { $0 += 1 } }
        options.willCommit = { _ in }
      }
      #expect(await swap(core, peer: peer, from: .empty, to: RatchetPair(Sample.state(1))).isSwapped)
      for outage in 1...2 {
        powercut_fail(database.folder, Int32(POWERCUT_BROKEN))
        core.queue.sync { core.discardForTest() }
        while reports.value < outage { try await Task.sleep(for: .milliseconds(1)) }
        powercut_fail(database.folder, Int32(POWERCUT_WORKS))
        while core.state.withLock({ !$0.failing.isEmpty }) { try await Task.sleep(for: .milliseconds(1)) }
      }
      let held = RatchetPair(Sample.state(1))
      #expect(await swap(core, peer: peer, from: held, to: RatchetPair(Sample.state(2))).isSwapped)
      try await waitUntilErased(held.state1, in: database)
      try close(core)
    }

    /// The answers to all requests of a commit were found in a state that may never have been.
    @Test(arguments: [false, true])
    func nothingThatWasReadInItIsAnswered(onTheDisk: Bool) async throws {
      #expect(powercut_register() == 1)
      let database = try Database()
      let isBroken = Shared(false)
      let peer = try Sample.peer(1)
      let entered = DispatchSemaphore(value: 0)
      let goOn = DispatchSemaphore(value: 0)
      let core = try open(database, isBroken: isBroken) { options in
        if onTheDisk { options.fileSystem = "powercut" }
        options.willCommit = { count in
          if count == 1 {
            entered.signal()
            goOn.wait()
          } else if onTheDisk {
            powercut_fail(database.folder, Int32(POWERCUT_UNSYNCED))
          } else {
            throw Refused()
          }
        }
      }
      let first = Task { await swap(core, peer: try Sample.peer(2), from: .empty, to: RatchetPair(Sample.state(9))) }
      await withCheckedContinuation { continuation in
        Thread {
          entered.wait(); continuation.resume()
        }.start()
      }
      let one = RatchetPair(Sample.state(1))
      let two = RatchetPair(Sample.state(2), Sample.state(1))
      let kinds: [PendingChange.Kind] = [
        .swap(expected: .empty, new: one), .swap(expected: one, new: two),
        // Not swapped, if the two before it were done; given up in what they have left.
        .swap(expected: .empty, new: RatchetPair(Sample.state(3))), .revoke(Sample.state(7).fingerprint),
        .revoke(Sample.state(2).fingerprint),
      ]
      var tasks: [Task<StoreAnswer, Never>] = []
      for kind in kinds {
        tasks.append(Task { await core.change(peer, kind: kind) })
        while core.state.withLock({ $0.changes.count }) < tasks.count { try await Task.sleep(for: .milliseconds(1)) }
      }
      goOn.signal()
      for (kind, task) in zip(kinds, tasks) { #expect(await task.value.isFailed, "\(kind)") }
      #expect(try await first.value.isSwapped)
      powercut_fail(database.folder, Int32(POWERCUT_WORKS))
      // What is said now is one of the two states that can be on the disk, and stays so.
      let held = await load(core, peer: peer)
      #expect(held == .empty || onTheDisk && held == two)
      try close(core)
      let store = try database.open()
      #expect(await store.load(peer) == held)
      try await store.close()
    }

    /// The read has seen the state before the commit; the disk may have the one after it, and the
    /// next answer say so.
    @Test func aReadThatTheFailureOvertookIsNotAnswered() async throws {
      let database = try Database()
      let isBroken = Shared(false)
      let peer = try Sample.peer(1)
      let core = try open(database, isBroken: isBroken)
      let held = RatchetPair(Sample.state(1))
      #expect(await swap(core, peer: peer, from: .empty, to: held).isSwapped)
      let isReading = Shared(false)
      let goOn = DispatchSemaphore(value: 0)
      let read = Task {
        await core.read { rows, database in
          let pair = try rows.row(of: peer, in: database).pair
          isReading.change { $0 = true }
          goOn.wait()
          return .pair(pair)
        }
      }
      while !isReading.value { try await Task.sleep(for: .milliseconds(1)) }
      isBroken.change { $0 = true }
      #expect(await swap(core, peer: peer, from: held, to: RatchetPair(Sample.state(2))).isFailed)
      isBroken.change { $0 = false }
      goOn.signal()
      #expect(await read.value.isFailed)
      #expect(await load(core, peer: peer) == held)
      try close(core)
    }

    private func load(_ core: StoreCore, peer: PublicKey) async -> RatchetPair? {
      let answer = await core.read { rows, database in .pair(try rows.row(of: peer, in: database).pair) }
      guard case .pair(let pair, _) = answer else { return nil }
      return pair
    }

    /// A store that is only read from makes no commit that would end the outage.
    @Test func eachOutageOfReadingIsReported() async throws {
      let database = try Database()
      let reports = Shared(0)
      let peer = try Sample.peer(1)
      let core = try open(database, isBroken: Shared(false)) { $0.onFailure = { _ in reports.change { $0 += 1 } } }
      for outage in 1...3 {
        for _ in 0..<2 {
          #expect(await core.read { _, _ in throw DatabaseError(resultCode: .SQLITE_IOERR) }.isFailed)
        }
        #expect(reports.value == outage)
        #expect(await load(core, peer: peer) == .empty)
      }
      try close(core)
    }

    /// SQLite itself says nothing of a log that it could not empty when it closes a database.
    @Test func closingSaysWhatItCouldNotErase() async throws {
      #expect(powercut_register() == 1)
      let database = try Database()
      let peer = try Sample.peer(1)
      let reports = Shared<[SQLiteStoreError]>([])
      func filled() async throws -> SQLiteRatchetStore {
        let store = try database.open { options in
          options.eraseAfter = .seconds(1000)
          options.fileSystem = "powercut"
          options.onFailure = { error in reports.change { $0.append(error) } }
        }
        let held = try #require(await store.load(peer))
        #expect(
          await store.swap(peer, from: held, to: RatchetPair(Sample.state(held.state1.chainLength + 1))).isSwapped)
        return store
      }
      let store = try await filled()
      powercut_fail(database.folder, Int32(POWERCUT_FULL))
      await #expect(throws: SQLiteStoreError.full(path: database.path)) { try await store.close() }
      powercut_fail(database.folder, Int32(POWERCUT_WORKS))
      #expect(reports.value.isEmpty)
      // Nobody calls close: the failure is reported.
      do {
        let dropped = try await filled()
        powercut_fail(database.folder, Int32(POWERCUT_FULL))
        withExtendedLifetime(dropped) {}
      }
      while reports.value.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
      #expect(reports.value == [.full(path: database.path)])
      powercut_fail(database.folder, Int32(POWERCUT_WORKS))
      let opened = try database.open()
      #expect(await opened.load(peer) == RatchetPair(Sample.state(2)))
      try await opened.close()
    }
  }

  extension StoreCore {
    /// Discards the connections as a failed commit does.
    fileprivate func discardForTest() {
      if let connection = state.withLock({ $0.connection }) { discard(connection) }
    }
  }
#endif
