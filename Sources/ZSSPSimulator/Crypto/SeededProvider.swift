// SPDX-License-Identifier: Apache-2.0
import Synchronization
package import ZSSP

/// A provider whose random bytes come from a seed, and with them key ids, timers and agreement
/// keys.
///
/// The base provider's internal randomness, such as that of a real KEM, is not seeded. It changes
/// bytes, but not what an endpoint does, so each step of a run is reproducible.
package final class SeededProvider: DerivedProvider {
  package let base: any CryptoProvider
  private let random: Mutex<SimulationRandom>

  package init(_ base: any CryptoProvider, seed: UInt64, stream: UInt64) {
    self.base = base
    random = Mutex(SimulationRandom(seed: seed, stream: stream))
  }

  package func fillRandom(_ bytes: inout MutableRawSpan) {
    for offset in stride(from: 0, to: bytes.byteCount, by: 8) {
      let word = random.withLock { $0.next() }
      for index in offset..<min(offset + 8, bytes.byteCount) {
        bytes.store(UInt8(truncatingIfNeeded: word >> (8 * (index - offset))), at: index)
      }
    }
  }

  package func generateAgreementKey() -> any AgreementPrivateKey {
    while true {
      if let key = try? base.agreementKey(privateBytes: self.random(48).bytes) { return key }
    }
  }

  package func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    guard base is StandInCrypto else { return base.generateEncapsulationKey(for: algorithm) }
    return StandInDecapsulationKey(seed: randomInteger(UInt64.self))
  }

  package func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    guard base is StandInCrypto else { return try base.encapsulate(to: encapsulationKey, for: algorithm) }
    var ciphertext = [UInt8](repeating: 0, count: KEM.ciphertextSize)
    let nonce = randomInteger(UInt64.self)
    ciphertext.withMutableBytes { $0.store(nonce, at: 0) }
    let secret = standInSharedSecret(encapsulationKey, ciphertext: ciphertext.rawBytes)
    return Encapsulation(ciphertext: ciphertext, sharedSecret: secret)
  }
}
