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
    return [
      Figure(
        "handshake", name: "handshakes, both sides", rounds: rates, unit: "1/s",
        bound: ("their public-key and hash operations", bounds), higherIsBetter: true)
    ]
  }

  /// Returns the nanoseconds for the operations that a handshake cannot avoid (section 6): two
  /// ephemeral P-384 keys, the agreements es, ee and se on both sides, three decoded points (X, Y
  /// and S_A), a KEM key, an encapsulation, a decapsulation, and on each side 11 key derivations of
  /// 2 outputs.
  private static func primitives(_ provider: any CryptoProvider, effort: BenchmarkEffort) -> Double {
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
      let generate = time { _ = provider.generateAgreementKey() }
      let agree = try time { _ = try key.sharedSecret(with: point) }
      let decode = try time { _ = try provider.agreementPublicKey(encoded) }
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
