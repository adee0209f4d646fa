// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import CPowerCut
  import Foundation
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPSQLite

  /// Swaps on a file system that loses what was not synced, and tears and reorders what it keeps of
  /// it.
  @Suite("Loss of power", .tags(.slow), .timeLimit(.minutes(20)))
  struct PowerCutTests {
    private static let peers = UInt8(4)
    private static let cuts =
      Int(ProcessInfo.processInfo.environment["ZSSP_CRASHES"] ?? "") ?? (TestSelection.isAll ? 40 : 20)

    /// The pairs that a peer's row may hold: that of the last answered swap, or that of a swap
    /// without an answer.
    private struct Expected: Sendable {
      var answered = RatchetPair.empty
      var unanswered: RatchetPair?
    }

    /// Swaps until the power is cut.
    private func work(
      _ store: SQLiteRatchetStore, peer: PublicKey, from: RatchetPair, number: UInt64
    ) async -> Expected {
      var expected = Expected(answered: from)
      var number = number
      while true {
        number += 1
        let new = RatchetPair(Sample.state(number), expected.answered.state1.isEmpty ? nil : expected.answered.state1)
        guard await store.swap(peer, from: expected.answered, to: new).isSwapped else {
          expected.unanswered = new
          return expected
        }
        expected.answered = new
      }
    }

    /// Gives what was lost or damaged in the first of so many cuts after which something was:
    /// answered swaps, the database.
    private func losses(
      cuts: Int, _ change: @escaping (inout SQLiteStoreOptions) -> Void
    ) async throws -> [String] {
      #expect(powercut_register() == 1)
      let database = try Database()
      var held: [UInt8: RatchetPair] = [:]
      for cut in 0..<cuts {
        let store = try database.open { options in
          options.fileSystem = "powercut"
          change(&options)
        }
        // Of a fixed sequence, so that a failure can be looked at.
        powercut_after(database.folder, Int64((cut * 37) % 101 + 1))
        let outcomes = try await withThrowingTaskGroup(of: (UInt8, Expected).self) { group in
          for peer in 0..<Self.peers {
            let from = held[peer] ?? .empty
            let number = UInt64(peer) << 32 | UInt64(cut) << 16
            let key = try Sample.peer(peer)
            group.addTask { (peer, await work(store, peer: key, from: from, number: number)) }
          }
          return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        #expect(powercut_is_cut(database.folder) == 1)
        // Without power it has nothing to say.
        do throws(SQLiteStoreError) { try await store.close() } catch {}
        #expect(powercut_restore(database.folder, UInt64(cut)) == 1)
        let opened = try database.open { change(&$0) }
        var losses = try await opened.check().map { "cut \(cut): \($0)" }
        for (peer, expected) in outcomes {
          let found = await opened.load(try Sample.peer(peer))
          if found != expected.answered, found == nil || found != expected.unanswered {
            losses.append("cut \(cut): peer \(peer)")
          }
          held[peer] = found
        }
        try await opened.close()
        // What is damaged cannot be gone on with.
        if !losses.isEmpty { return losses }
      }
      return []
    }

    // [RAT-6]
    @Test func answeredSwapsSurvive() async throws {
      #expect(try await losses(cuts: Self.cuts) { _ in } == [])
      #expect(
        try await losses(cuts: Self.cuts / 2) {
          $0.key = Sample.key; $0.groupCommit = false
        } == [])
    }

    /// That the file system loses something is seen with a store that does not sync.
    @Test func withoutSyncingTheyDoNot() async throws {
      var hasLost = false
      for _ in 0..<3 where !hasLost {
        // A database that cannot be opened has lost everything.
        do { hasLost = try await losses(cuts: 20) { $0.syncsCommits = false } != [] } catch is SQLiteStoreError {
          hasLost = true
        }
      }
      #expect(hasLost)
    }
  }
#endif
