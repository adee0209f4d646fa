// SPDX-License-Identifier: Apache-2.0
public import ZSSP
import ZSSPNIO

/// Whole handshakes, both sides on one core, compared to their public-key operations.
public enum HandshakeBenchmark {
  /// Measures handshakes per second with the default profile.
  ///
  /// - Throws: ``EndpointLink/Broken``.
  public static func run(_ provider: any CryptoProvider, effort: BenchmarkEffort = .init()) throws -> [Figure] {
    var rates = [Double]()
    var bounds = [Double]()
    for _ in 0..<effort.rounds {
      bounds.append(1e9 / primitives(provider, effort: effort))
      var link = try EndpointLink(provider)
      try link.handshake()
      var count = 0
      let start = ThreadClock.now
      var elapsed = Duration.zero
      while elapsed < effort.duration {
        try link.handshake()
        count += 1
        elapsed = ThreadClock.now - start
      }
      rates.append(Double(count) / (elapsed / .seconds(1)))
    }
    let alone = Figure(
      "handshake", name: "handshakes, both sides", rounds: rates, unit: "1/s",
      bound: ("their public-key and hash operations", bounds), higherIsBetter: true)
    return [alone] + (provider.batches == nil ? [] : [try runTogether(provider, effort: effort)])
  }

  /// The number of handshakes that are in progress together.
  private static let crowd = 256

  /// Measures handshakes that are in progress together, with a provider that does the operations of
  /// several at once.
  private static func runTogether(_ provider: any CryptoProvider, effort: BenchmarkEffort) throws -> Figure {
    var rates = [Double]()
    var bounds = [Double]()
    for _ in 0..<effort.rounds {
      bounds.append(1e9 / primitives(provider, effort: effort, together: true))
      rates.append(1e9 / (try StormBenchmark.inMemory(provider, peers: crowd)).processorTime)
    }
    return Figure(
      "handshake", name: "handshakes, both sides, \(crowd) together", rounds: rates, unit: "1/s",
      bound: ("their operations, together", bounds), higherIsBetter: true)
  }

  /// Returns the nanoseconds for the operations that a handshake cannot avoid (section 6): two
  /// ephemeral P-384 keys, the agreements es, ee and se on both sides, three decoded points (X, Y
  /// and S_A), a KEM key, an encapsulation, a decapsulation, and on each side 11 key derivations of
  /// 2 outputs.
  ///
  /// - Parameter together: True to do as many operations at once as the provider can.
  static func primitives(
    _ provider: any CryptoProvider, effort: BenchmarkEffort, together: Bool = false
  ) -> Double {
    let key = provider.generateAgreementKey()
    let encoded = key.publicKey
    let kem = provider.generateEncapsulationKey(for: .kyber1024)
    let context = [UInt8](repeating: 1, count: 64)
    func time(_ body: () throws -> Void) rethrows -> Double {
      var effort = effort
      effort.duration = effort.duration / 8
      return try effort.nanoseconds(per: 1, body)
    }
    do {
      let point = try provider.agreementPublicKey(encoded)
      let encapsulation = try provider.encapsulate(to: kem.encapsulationKey.span.bytes, for: .kyber1024)
      let generate: Double
      let agree: Double
      let decode: Double
      if together, let batches = provider.batches {
        let size = batches.size
        let keys = batches.generate(size)
        let encodings = keys.map(\.publicKey)
        let points = batches.decode(encodings).compactMap(\.self)
        generate = time { _ = batches.generate(size) } / Double(size)
        agree = time { _ = batches.agree(zip(keys, points).map { ($0, $1) }) } / Double(size)
        decode = time { _ = batches.decode(encodings) } / Double(size)
      } else {
        generate = time { _ = provider.generateAgreementKey() }
        agree = try time { _ = try key.sharedSecret(with: point) }
        decode = try time { _ = try provider.agreementPublicKey(encoded) }
      }
      let generateKEM = time { _ = provider.generateEncapsulationKey(for: .kyber1024).encapsulationKey }
      let encapsulate = try time { _ = try provider.encapsulate(to: kem.encapsulationKey.span.bytes, for: .kyber1024) }
      let decapsulate = try time { _ = try kem.decapsulate(encapsulation.ciphertext.span.bytes) }
      let code = time {
        let authenticator = provider.authenticator(key: context.span.bytes)
        for _ in 0..<2 { _ = authenticator.authenticationCode(for: context.span.bytes) }
      }
      return 2 * generate + 6 * agree + 3 * decode + generateKEM + encapsulate + decapsulate + 2 * 11 * code
    } catch {
      // A provider that refuses its own keys has no meaningful bound.
      return .nan
    }
  }
}
