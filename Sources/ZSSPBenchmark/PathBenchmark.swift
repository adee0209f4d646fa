// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// A packet's whole path in memory, sender and receiver on one core: from message to message.
public enum PathBenchmark {
  /// The number of packets that are sent, and then received, at once.
  private static let batch = 64

  /// Measures messages of each size, compared to the raw cipher.
  ///
  /// - Throws: ``EndpointLink/Broken``.
  public static func run(_ provider: any CryptoProvider, effort: BenchmarkEffort = .init()) throws -> [Figure] {
    try effort.sizes.map { size in
      var link = try EndpointLink(provider)
      try link.handshake()
      let session = link.sessions[0]
      let message = [UInt8](repeating: 7, count: size)
      let count = size > 1400 ? 4 : batch
      var path = [Double]()
      var raw = [Double]()
      for _ in 0..<effort.rounds {
        let cost = RawPacketCost(provider, size: size)
        raw.append(cost.seal(effort) + cost.open(effort))
        var received = 0
        var sent = 0
        let time = try effort.nanoseconds(per: count) {
          try link.alice.send(on: session, at: link.now) { run throws(SendError) in
            for _ in 0..<count { try run.append(message.span.bytes) }
          }
          received += link.aliceToBob()
          sent += count
        }
        guard received == sent else {
          throw EndpointLink.Broken(description: "\(sent - received) of \(sent) messages did not arrive")
        }
        path.append(time)
      }
      return Figure(
        "path", name: "send and receive \(size) bytes", rounds: path, unit: "ns",
        bound: ("seal and open \(size) bytes", raw))
    }
  }
}
