// SPDX-License-Identifier: Apache-2.0

// The tokens that both sides of both handshakes share. A key or ciphertext that a primitive refuses
// is an authentication failure like any other (section 1).

extension SymmetricState {
  /// A DH token: MixKey of the shared secret.
  mutating func mixKey(agreed shared: Secret) {
    // [NOISE-11]
    mixKey(shared.bytes)
  }

  /// The receiving side of a KEM token: MixKey of the shared secret.
  mutating func mixKey(
    decapsulating ciphertext: [UInt8], with key: any DecapsulationKey
  ) throws(AuthenticationFailure) {
    let shared: Secret
    do { shared = try key.decapsulate(ciphertext.rawBytes) } catch { throw AuthenticationFailure() }
    mixKey(shared.bytes)
  }
}

extension CryptoProvider {
  // [PRIM-8]
  /// Encapsulates to a key that was received in a handshake.
  func encapsulating(to key: [UInt8], for kem: KEM) throws(AuthenticationFailure) -> Encapsulation {
    do { return try encapsulate(to: key.rawBytes, for: kem) } catch { throw AuthenticationFailure() }
  }
}
