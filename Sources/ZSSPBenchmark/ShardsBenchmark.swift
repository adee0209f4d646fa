// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
public import ZSSP

/// Two pairs of endpoints on two threads, compared to one pair on one thread. They share only the
/// provider.
public enum ShardsBenchmark {
  private static let batch = 64
  private static let size = 1400

  /// Measures packets of 1400 bytes per second, sent and received in memory, on one thread and on
  /// two. The bound for two threads is twice the rate of one. The ratio includes what the machine
  /// loses with two busy threads.
  ///
  /// - Throws: ``EndpointLink/Broken``.
  public static func run(_ provider: any CryptoProvider, effort: BenchmarkEffort = .init()) throws -> [Figure] {
    var one = [Double]()
    var two = [Double]()
    var twice = [Double]()
    for _ in 0..<effort.rounds {
      let rate = try rate(provider, threads: 1, effort: effort)
      one.append(rate)
      twice.append(2 * rate)
      two.append(try Self.rate(provider, threads: 2, effort: effort))
    }
    return [
      Figure("shards", name: "1400-byte packets, one shard", rounds: one, unit: "1/s", higherIsBetter: true),
      Figure(
        "shards", name: "1400-byte packets, two shards", rounds: two, unit: "1/s", bound: ("twice one shard", twice),
        higherIsBetter: true),
    ]
  }

  /// Returns the total packets per second of several threads. Each starts to count when all are
  /// ready.
  private static func rate(_ provider: any CryptoProvider, threads: Int, effort: BenchmarkEffort) throws -> Double {
    let shared = Shared()
    let group = DispatchGroup()
    for index in 0..<threads {
      group.enter()
      Thread.detachNewThread {
        let rate = try? packets(provider, shard: Shard(index, of: 2), for: effort.duration) {
          shared.ready.add(1, ordering: .sequentiallyConsistent)
          while shared.ready.load(ordering: .sequentiallyConsistent) < threads {}
        }
        // The other threads must not wait for one that failed.
        if rate == nil { shared.ready.add(threads, ordering: .sequentiallyConsistent) }
        shared.rates.withLock { $0.append(rate) }
        group.leave()
      }
    }
    group.wait()
    let rates = shared.rates.withLock { $0.compactMap(\.self) }
    guard rates.count == threads else { throw EndpointLink.Broken(description: "a shard failed") }
    return rates.reduce(0, +)
  }

  private final class Shared: Sendable {
    let ready = Atomic(0)
    let rates = Mutex<[Double?]>([])
  }

  private static func packets(
    _ provider: any CryptoProvider, shard: Shard, for duration: Duration, whenReady wait: () -> Void
  ) throws -> Double {
    var link = try EndpointLink(provider, shard: shard)
    try link.handshake()
    let session = link.sessions[0]
    let message = [UInt8](repeating: 7, count: size)
    wait()
    let clock = ContinuousClock()
    let start = clock.now
    var received = 0
    var elapsed = Duration.zero
    while elapsed < duration {
      try link.alice.send(on: session, at: link.now) { run throws(SendError) in
        for _ in 0..<batch { try run.append(message.span.bytes) }
      }
      received += link.aliceToBob()
      elapsed = clock.now - start
    }
    return Double(received) / (elapsed / .seconds(1))
  }
}
