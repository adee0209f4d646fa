// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP
import ZSSPBenchmark
import ZSSPNIO
import ZSSPSQLite

/// Compares handshakes with durable ratchets to those with ratchets in memory: the store alone, and
/// whole handshakes over loopback UDP.
struct StoreComparison {
  let provider: any CryptoProvider
  let effort: BenchmarkEffort
  let folder: String

  /// The kind of store.
  private enum Kind: String, CaseIterable {
    case memory = "in memory"
    #if SQLite
      case single = "SQLite, commit per swap"
      case group = "SQLite, group commit"
    #endif
  }

  /// The results of all rounds with one kind of store.
  private struct Rounds {
    var requests: [Double] = []
    var handshakes: [Double] = []
    var roundTrips: [Double] = []
    var requestCommits: [Double] = []
    var handshakeCommits: [Double] = []
  }

  /// Measures, and passes the figures to `show` as they are finished.
  func run(_ crowds: [Int], show: ([Figure]) throws -> Void) async throws {
    var syncs: [Double] = []
    for _ in 0..<effort.rounds { syncs.append(try syncedWrites()) }
    try show([Figure("store", name: "synced writes of 4096 bytes", rounds: syncs, unit: "1/s")])
    for count in crowds {
      var rounds: [Kind: Rounds] = [:]
      for _ in 0..<effort.rounds {
        for kind in Kind.allCases { try await measure(kind, count: count, into: &rounds[kind, default: Rounds()]) }
      }
      try show(figures(of: rounds, count: count, syncs: syncs))
    }
  }

  private func figures(of rounds: [Kind: Rounds], count: Int, syncs: [Double]) -> [Figure] {
    let memory = rounds[.memory] ?? Rounds()
    var figures: [Figure] = []
    for kind in Kind.allCases {
      guard let found = rounds[kind] else { continue }
      let bound = kind == .memory ? nil : ("the disk's synced writes", syncs)
      figures.append(
        Figure(
          "store", name: "swaps, \(count) at once, \(kind.rawValue)", rounds: found.requests, unit: "1/s", bound: bound,
          higherIsBetter: true))
      if kind != .memory {
        figures.append(Figure("store", name: "  commits per swap", rounds: found.requestCommits, unit: ""))
      }
    }
    for kind in Kind.allCases {
      guard let found = rounds[kind] else { continue }
      figures.append(
        Figure(
          "store", name: "handshakes, \(count) at once, \(kind.rawValue)", rounds: found.handshakes, unit: "1/s",
          bound: kind == .memory ? nil : ("those in memory", memory.handshakes), higherIsBetter: true))
      if kind != .memory {
        figures.append(Figure("store", name: "  commits per handshake", rounds: found.handshakeCommits, unit: ""))
      }
      figures.append(
        Figure(
          "store", name: "  round trip of another session meanwhile", rounds: found.roundTrips, unit: "µs",
          bound: kind == .memory ? nil : ("that in memory", memory.roundTrips)))
    }
    return figures
  }

  private func measure(_ kind: Kind, count: Int, into rounds: inout Rounds) async throws {
    switch kind {
    case .memory:
      rounds.requests.append(
        try await StoreBenchmark.handshakes(VolatileRatchetStore(), initiators: count, for: effort.duration))
      let load = HandshakeLoad(provider: provider, initiators: count)
      let result = try await load.run(VolatileRatchetStore(), for: effort.duration)
      rounds.handshakes.append(result.rate)
      rounds.roundTrips.append(result.roundTrip)
    #if SQLite
      case .single, .group:
        let requests = try await inDatabase(kind) { store in
          try await StoreBenchmark.handshakes(store, initiators: count, for: effort.duration)
        }
        rounds.requests.append(requests.result)
        rounds.requestCommits.append(requests.commits)
        let handshakes = try await inDatabase(kind) { store in
          try await HandshakeLoad(provider: provider, initiators: count).run(store, for: effort.duration)
        }
        rounds.handshakes.append(handshakes.result.rate)
        rounds.roundTrips.append(handshakes.result.roundTrip)
        rounds.handshakeCommits.append(handshakes.commits)
    #endif
    }
  }

  #if SQLite
    /// Returns the result of `body` with a new database, and the commits per swap.
    private func inDatabase<Result>(
      _ kind: Kind, body: (SQLiteRatchetStore) async throws -> Result
    ) async throws -> (result: Result, commits: Double) {
      let path = temporaryPath()
      defer { for suffix in ["", "-wal", "-shm", ".lock"] { unlink(path + suffix) } }
      var options = SQLiteStoreOptions()
      options.groupCommit = kind == .group
      let store: SQLiteRatchetStore
      do {
        store = try SQLiteRatchetStore(path: path, provider: provider, options: options)
      } catch {
        throw CommandFailure.usage("--folder: \(error)")
      }
      return try await store.whileOpen {
        let result = try await body(store)
        let statistics = store.statistics
        return (result, Double(statistics.commits) / Double(max(1, statistics.swaps)))
      }
    }
  #endif

  private func temporaryPath() -> String { "\(folder)/zssp-bench-\(UInt64.random(in: .min ... .max)).db" }

  /// Returns how many times per second a page can be appended to a file and synced.
  private func syncedWrites() throws -> Double {
    let path = temporaryPath()
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw CommandFailure.usage("--folder \(folder): \(String(cString: strerror(errno)))") }
    defer {
      close(descriptor)
      unlink(path)
    }
    let page = [UInt8](repeating: 1, count: 4096)
    let clock = ContinuousClock()
    let start = clock.now
    var count = 0
    var elapsed = Duration.zero
    while elapsed < effort.duration {
      guard write(descriptor, page, page.count) == page.count, fsync(descriptor) == 0 else {
        throw CommandFailure.failed("--folder \(folder): \(String(cString: strerror(errno)))")
      }
      count += 1
      elapsed = clock.now - start
    }
    return Double(count) / (elapsed / .seconds(1))
  }
}
