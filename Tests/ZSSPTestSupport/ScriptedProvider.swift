// SPDX-License-Identifier: Apache-2.0

package import ZSSP

/// Another provider, with randomness and the KEM from a ``Tape``.
///
/// A key pair of round-3 Kyber cannot be made again from a FIPS 203 seed (section 1), so the KEM is
/// played back too. Each implementation has its own bytes for an address in a challenge (section
/// 8), so the recorded ones are hashed instead of ours.
package struct ScriptedProvider: DerivedProvider {
  package let base: any CryptoProvider
  package let tape: Tape
  package let peerAddress: Address
  /// The bytes that the recorded side used as its peer's address.
  package let recordedPeerAddress: [UInt8]

  package init(base: any CryptoProvider, tape: Tape, peerAddress: Address, recordedPeerAddress: [UInt8]) {
    self.base = base
    self.tape = tape
    self.peerAddress = peerAddress
    self.recordedPeerAddress = recordedPeerAddress
  }

  package var name: String { "\(base.name), scripted" }

  package func fillRandom(_ bytes: inout MutableRawSpan) {
    let size = bytes.byteCount
    let drawn = tape.next("a draw of \(size) bytes") { entry in
      if case .draw(let drawn) = entry, drawn.count == size { drawn } else { nil }
    }
    if let drawn { bytes.write(drawn.rawBytes, at: 0) } else { base.fillRandom(&bytes) }
  }

  package func hash(_ first: RawSpan, _ second: RawSpan) -> Digest {
    let hash = base.hash(recorded(first).rawBytes, second)
    tape.note(hash: hash)
    return hash
  }

  /// The input of a hash, with the recorded form of the address if it is a counter and an address.
  private func recorded(_ input: RawSpan) -> [UInt8] {
    let input = input.array
    let address = peerAddress.bytes
    guard input.count == 8 + address.count, input.suffix(address.count).elementsEqual(address) else { return input }
    return input.prefix(8) + recordedPeerAddress
  }

  package func authenticator(key: RawSpan) -> any MessageAuthenticator {
    NotingAuthenticator(base: base.authenticator(key: key), tape: tape)
  }

  package func generateAgreementKey() -> any AgreementPrivateKey {
    let drawn = tape.next("a P-384 key") { entry in
      if case .agreement(let drawn) = entry, drawn.count == 48 { drawn } else { nil }
    }
    guard let drawn, let key = try? base.agreementKey(privateBytes: drawn.rawBytes) else {
      return base.generateAgreementKey()
    }
    return key
  }

  package func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    let key = tape.next("a KEM key") { entry in
      if case .encapsulationKey(let key) = entry { key } else { nil }
    }
    guard let key else { return base.generateEncapsulationKey(for: algorithm) }
    return ScriptedDecapsulationKey(encapsulationKey: key, tape: tape)
  }

  package func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
    let wanted = encapsulationKey.array
    let found = tape.next("an encapsulation") { entry in
      if case .encapsulation(let key, let ciphertext, let secret) = entry, key == wanted {
        Encapsulation(ciphertext: ciphertext, sharedSecret: Secret(copying: secret.rawBytes))
      } else {
        nil
      }
    }
    return if let found { found } else { try base.encapsulate(to: encapsulationKey, for: algorithm) }
  }
}

/// HMAC whose values are noted.
private struct NotingAuthenticator: MessageAuthenticator {
  let base: any MessageAuthenticator
  let tape: Tape

  func authenticationCode(for message: RawSpan) -> Secret {
    let code = base.authenticationCode(for: message)
    tape.note(code: code)
    return code
  }
}

/// A KEM key that knows the ciphertexts of its tape.
private final class ScriptedDecapsulationKey: DecapsulationKey {
  let encapsulationKey: [UInt8]
  private let tape: Tape

  init(encapsulationKey: [UInt8], tape: Tape) {
    self.encapsulationKey = encapsulationKey
    self.tape = tape
  }

  func decapsulate(_ ciphertext: RawSpan) throws(CryptoFailure) -> Secret {
    let given = ciphertext.array
    let secret = tape.next("a decapsulation") { entry in
      if case .decapsulation(let ciphertext, let secret) = entry, ciphertext == given { secret } else { nil }
    }
    guard let secret else { throw CryptoFailure("not on the tape") }
    return Secret(copying: secret.rawBytes)
  }
}
