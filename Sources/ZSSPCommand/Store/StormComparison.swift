// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP
import ZSSPBenchmark
import ZSSPNIO
import ZSSPSQLite

/// Storms of handshakes in memory and over loopback UDP, with a store in memory and with a database
/// of the responder.
struct StormComparison {
  let provider: any CryptoProvider
  let effort: BenchmarkEffort
  let peers: Int
  let folder: String

  /// Measures, and passes the figures to `show` as they are finished.
  func run(_ show: ([Figure]) throws -> Void) async throws {
    var bounds: [Double] = []
    var inMemory: [StormBenchmark.Storm] = []
    for _ in 0..<effort.rounds {
      bounds.append(StormBenchmark.bound(provider, effort: effort))
      inMemory.append(try StormBenchmark.inMemory(provider, peers: peers))
    }
    let many = "\(peers) peers"
    try show(
      StormBenchmark.figures(
        inMemory, name: "\(many), in memory", bound: "their public-key and hash operations", bounds))
    #if os(Linux)
      let reference = inMemory.map(\.rate)
      var overUDP: [StormBenchmark.Storm] = []
      for _ in 0..<effort.rounds {
        overUDP.append(
          try await StormBenchmark.overUDP(provider, peers: peers) {
            VolatileRatchetStore(pairs: $0)
          } finish: { _ in
          })
      }
      try show(
        StormBenchmark.figures(overUDP, name: "\(many), UDP", bound: "those in memory", reference))
      #if SQLite
        var durable: [StormBenchmark.Storm] = []
        for _ in 0..<effort.rounds { durable.append(try await withDatabase()) }
        try show(
          StormBenchmark.figures(durable, name: "\(many), UDP, SQLite", bound: "those in memory", reference))
      #endif
    #endif
  }

  #if os(Linux) && SQLite
    private func withDatabase() async throws -> StormBenchmark.Storm {
      let path = "\(folder)/zssp-bench-\(UInt64.random(in: .min ... .max)).db"
      defer { for suffix in ["", "-wal", "-shm", ".lock"] { unlink(path + suffix) } }
      return try await StormBenchmark.overUDP(provider, peers: peers) { pairs in
        let store: SQLiteRatchetStore
        do { store = try SQLiteRatchetStore(path: path, provider: provider) } catch {
          throw CommandFailure.usage("--folder: \(error)")
        }
        try await Self.fill(store, with: pairs)
        return store
      } finish: { store in
        try await store.close()
      }
    }

    /// Writes the states that the responder holds, many at once so that they share commits.
    private static func fill(_ store: SQLiteRatchetStore, with pairs: [PublicKey: RatchetPair]) async throws {
      try await withThrowingTaskGroup(of: Void.self) { group in
        var running = 0
        for (peer, pair) in pairs {
          if running == 256 {
            try await group.next()
            running -= 1
          }
          running += 1
          group.addTask {
            guard case .swapped = await store.answer(.compareAndSwap(peer: peer, expected: .empty, new: pair)) else {
              throw CommandFailure.failed("the database refuses a state")
            }
          }
        }
        try await group.waitForAll()
      }
    }
  #endif
}
