// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A provider with one function that gives a wrong answer, as a fault of the hardware or of a build
/// would.
struct BrokenProvider: DerivedProvider {
  let base: any CryptoProvider
  let broken: SelfTestFunction

  func fillRandom(_ bytes: inout MutableRawSpan) {
    guard broken == .random else { return base.fillRandom(&bytes) }
    for index in 0..<bytes.byteCount { bytes.store(UInt8(7), at: index) }
  }

  func hash(_ first: RawSpan, _ second: RawSpan) -> Digest {
    // The second part is lost.
    guard broken == .sha512 else { return base.hash(first, second) }
    let nothing: [UInt8] = []
    return base.hash(first, nothing.rawBytes)
  }

  func authenticator(key: RawSpan) -> any MessageAuthenticator {
    switch broken {
    case .hmac: ChangedAuthenticator(base: base.authenticator(key: key), isChanged: { _ in true })
    // Only messages as long as NIST's fixed input.
    case .kbkdf: ChangedAuthenticator(base: base.authenticator(key: key), isChanged: { $0 > 60 })
    default: base.authenticator(key: key)
    }
  }

  func generateAgreementKey() -> any AgreementPrivateKey {
    let key = base.generateAgreementKey()
    return broken == .agreementPair ? ChangedAgreementKey(key) : key
  }

  func agreementKey(privateBytes: RawSpan) throws(CryptoFailure) -> any AgreementPrivateKey {
    guard broken != .keyValidation else {
      return (try? base.agreementKey(privateBytes: privateBytes)) ?? generateAgreementKey()
    }
    let key = try base.agreementKey(privateBytes: privateBytes)
    return broken == .agreement ? ChangedAgreementKey(key) : key
  }

  func generateEncapsulationKey(for algorithm: KEM) -> any DecapsulationKey {
    let key = base.generateEncapsulationKey(for: algorithm)
    let isBroken = broken == (algorithm == .mlkem1024 ? .mlkemPair : .kyberPair)
    return isBroken ? ChangedDecapsulationKey(key) : key
  }

  func packetKey(_ key: Secret) -> any PacketKey {
    switch broken {
    case .gcmSeal, .gcmOpen: ChangedPacketKey(base: base.packetKey(key), broken: broken)
    default: base.packetKey(key)
    }
  }

  func headerKey(_ key: Secret) -> any HeaderKey {
    switch broken {
    case .blockEncrypt, .blockDecrypt: ChangedHeaderKey(base: base.headerKey(key), broken: broken)
    default: base.headerKey(key)
    }
  }
}

/// A secret of which one bit is another.
private func changed(_ secret: Secret) -> Secret {
  var bytes = secret.bytes.array
  bytes[0] ^= 0x10
  return bytes.secret
}

private struct ChangedAuthenticator: MessageAuthenticator {
  let base: any MessageAuthenticator
  let isChanged: (Int) -> Bool

  func authenticationCode(for message: RawSpan) -> Secret {
    let code = base.authenticationCode(for: message)
    return isChanged(message.byteCount) ? changed(code) : code
  }
}

private final class ChangedAgreementKey: AgreementPrivateKey {
  private let base: any AgreementPrivateKey
  init(_ base: any AgreementPrivateKey) { self.base = base }
  var publicKey: PublicKey { base.publicKey }
  func sharedSecret(with publicKey: any AgreementPublicKey) throws(CryptoFailure) -> Secret {
    let secret = try base.sharedSecret(with: publicKey)
    // On one side of a pair alone: both would be wrong alike.
    return base.publicKey > publicKey.encoded ? changed(secret) : secret
  }
}

final class ChangedDecapsulationKey: DecapsulationKey {
  private let base: any DecapsulationKey
  init(_ base: any DecapsulationKey) { self.base = base }
  var encapsulationKey: [UInt8] { base.encapsulationKey }
  func decapsulate(_ ciphertext: RawSpan) throws(CryptoFailure) -> Secret { changed(try base.decapsulate(ciphertext)) }
}

private final class ChangedPacketKey: PacketKey {
  private let base: any PacketKey
  private let broken: SelfTestFunction
  init(base: any PacketKey, broken: SelfTestFunction) {
    self.base = base
    self.broken = broken
  }

  func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
    base.seal(plaintext, nonce: nonce, authenticating: authenticating, into: &output)
    if broken == .gcmSeal { output.store(output[byte: output.byteCount - 1] ^ 1, at: output.byteCount - 1) }
  }

  func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
    // Believes every tag.
    base.open(&message, nonce: nonce, authenticating: authenticating) || broken == .gcmOpen
  }
}

private final class ChangedHeaderKey: HeaderKey {
  private let base: any HeaderKey
  private let broken: SelfTestFunction
  init(base: any HeaderKey, broken: SelfTestFunction) {
    self.base = base
    self.broken = broken
  }

  func encrypt(_ block: inout MutableRawSpan) {
    base.encrypt(&block)
    if broken == .blockEncrypt { block.store(block[byte: 0] ^ 1, at: 0) }
  }

  func decrypt(_ block: inout MutableRawSpan) {
    base.decrypt(&block)
    if broken == .blockDecrypt { block.store(block[byte: 15] ^ 1, at: 15) }
  }
}
