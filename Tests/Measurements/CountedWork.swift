// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPBenchmark
import ZSSPSimulator
import ZSSPSwiftCrypto

/// An operation that Scripts/instructions repeats under valgrind, to count the instructions of one.
struct CountedWork: Sendable {
  let name: String
  /// The number of messages, datagrams or handshakes in one repetition.
  let units: Int
  /// A number of repetitions beside which the start of the process does not count.
  let repetitions: Int
  /// Prepares the operation, and repeats it.
  let run: @Sendable (_ repetitions: Int) throws -> Void

  /// All of them. Those without cryptography count the protocol alone.
  static let all = [
    messages(of: 64, in: 64, withoutCrypto, repetitions: 400),
    messages(of: 1400, in: 64, withoutCrypto, repetitions: 100),
    messages(of: 1400, in: 64, SwiftCryptoProvider(), repetitions: 100),
    messages(of: 60_000, in: 4, SwiftCryptoProvider(), repetitions: 40),
    handshakes(withoutCrypto, repetitions: 100),
    handshakes(SwiftCryptoProvider(), repetitions: 20),
    strangers(repetitions: 2000),
  ]

  /// Stand-in cryptography, with the same keys in each run.
  private static var withoutCrypto: any CryptoProvider { SeededProvider(StandInCrypto(), seed: 1, stream: 1) }

  private static func messages(
    of size: Int, in batch: Int, _ provider: any CryptoProvider, repetitions: Int
  ) -> CountedWork {
    let name = "a message of \(size) bytes, sent and received, \(provider.name)"
    return CountedWork(name: name, units: batch, repetitions: repetitions) { repetitions in
      var path = try PacketPath(provider, size: size, batch: batch)
      for _ in 0..<repetitions { try path.exchange() }
    }
  }

  private static func handshakes(_ provider: any CryptoProvider, repetitions: Int) -> CountedWork {
    CountedWork(name: "a handshake, both sides, \(provider.name)", units: 1, repetitions: repetitions) { repetitions in
      var handshakes = try RepeatedHandshakes(provider)
      for _ in 0..<repetitions { try handshakes.shake() }
    }
  }

  /// Datagrams that belong to no session.
  private static func strangers(repetitions: Int) -> CountedWork {
    let count = 64
    let size = 100
    return CountedWork(name: "a datagram of no session", units: count, repetitions: repetitions) { repetitions in
      let provider = withoutCrypto
      var endpoint = try Endpoint(
        EndpointConfiguration(staticKey: provider.generateAgreementKey(), provider: provider))
      let source = Address(ipv4: 0x0A00_0001, port: 1111)
      var datagrams = (0..<count * size).map { UInt8(truncatingIfNeeded: $0 &* 0x9E37 >> 7) }
      for _ in 0..<repetitions {
        datagrams.withMutableBytes { bytes in
          endpoint.receive(burst: &bytes, segmentSize: size, from: source, at: .milliseconds(1000))
        }
      }
    }
  }
}
