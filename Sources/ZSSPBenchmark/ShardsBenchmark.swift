// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Synchronization
public import ZSSP

/// Two pairs of endpoints on two threads beside one pair on one thread. They have nothing in common but the provider.
public enum ShardsBenchmark {
  private static let batch = 64
  private static let size = 1400

  /// Packets of 1400 bytes a second, sent and received in memory, by one thread and by two. The bound of two threads is twice
  /// the rate of one: what the machine gives to two threads at once, fewer cores or shared ones included, is part of it.
  public static func run(_ provider: any CryptoProvider, _ effort: BenchmarkEffort = .init()) throws -> [Figure] {
    var (one, two, twice) = ([Double](), [Double](), [Double]())
    for _ in 0..<effort.rounds {
      let rate = try rate(provider, threads: 1, effort)
      one.append(rate)
      twice.append(2 * rate)
      two.append(try Self.rate(provider, threads: 2, effort))
    }
    return [
      Figure("shards", "1400-byte packets, one shard", one, "1/s", higherIsBetter: true),
      Figure(
        "shards", "1400-byte packets, two shards", two, "1/s", bound: ("twice one shard", twice), higherIsBetter: true),
    ]
  }

  /// What threads do until the same moment, and from the same moment on, all together.
  private static func rate(_ provider: any CryptoProvider, threads: Int, _ effort: BenchmarkEffort) throws -> Double {
    let counts = Mutex<[Int?]>([])
    let group = DispatchGroup()
    let clock = ContinuousClock()
    let start = clock.now + .milliseconds(100)
    let end = start + effort.duration
    for index in 0..<threads {
      DispatchQueue.global().async(group: group) {
        let count = try? packets(provider, Shard(index, of: 2), from: start, until: end)
        counts.withLock { $0.append(count) }
      }
    }
    group.wait()
    let all = counts.withLock { $0 }
    guard all.count == threads, all.allSatisfy({ ($0 ?? 0) > 0 }) else {
      throw EndpointLink.Broken(description: "a shard did not come to send")
    }
    return Double(all.reduce(0) { $0 + ($1 ?? 0) }) / (effort.duration / .seconds(1))
  }

  private static func packets(
    _ provider: any CryptoProvider, _ shard: Shard, from start: ContinuousClock.Instant,
    until end: ContinuousClock.Instant
  ) throws -> Int {
    let clock = ContinuousClock()
    var link = try EndpointLink(provider, shard: shard)
    try link.handshake()
    let session = link.sessions[0]
    let message = [UInt8](repeating: 7, count: size)
    var (received, now) = (0, clock.now)
    while now < end {
      try link.alice.send(on: session, at: link.now) { run throws(SendError) in
        for _ in 0..<batch { try run.append(message.span.bytes) }
      }
      let count = link.aliceToBob()
      if now >= start { received += count }
      now = clock.now
    }
    return received
  }
}
