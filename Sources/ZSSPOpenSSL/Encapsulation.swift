// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL
  import ZSSP
  import ZSSPSwiftCrypto

  /// Key encapsulation: ML-KEM-1024 of libcrypto if it has one, otherwise of swift-crypto;
  /// Kyber1024 is built on it.
  struct Encapsulator {
    let library: Library

    func generate(for algorithm: KEM) -> any DecapsulationKey {
      let key: any DecapsulationKey =
        library.hasMLKEM
        ? MLKEMDecapsulationKey(library) : SwiftCryptoProvider().generateEncapsulationKey(for: .mlkem1024)
      return algorithm == .mlkem1024 ? key : KyberDecapsulationKey(key, library: library)
    }

    func encapsulate(to encapsulationKey: RawSpan, for algorithm: KEM) throws(CryptoFailure) -> Encapsulation {
      let result =
        library.hasMLKEM
        ? try mlkemEncapsulate(to: encapsulationKey)
        : try SwiftCryptoProvider().encapsulate(to: encapsulationKey, for: .mlkem1024)
      guard algorithm == .kyber1024 else { return result }
      return Encapsulation(
        ciphertext: result.ciphertext,
        sharedSecret: library.kyberSecret(result.sharedSecret, ciphertext: result.ciphertext.rawBytes))
    }

    private func mlkemEncapsulate(to encapsulationKey: RawSpan) throws(CryptoFailure) -> Encapsulation {
      let refusal = CryptoFailure("not an ML-KEM-1024 encapsulation key")
      guard encapsulationKey.byteCount == KEM.encapsulationKeySize else { throw refusal }
      // libcrypto checks the modulus when it reads the key (FIPS 203 section 7.2).
      let key = encapsulationKey.withUnsafeBytes { bytes in
        var parameters = KeyParameters()
        parameters.add("pub", bytes: bytes)
        return parameters.makeKey("ML-KEM-1024", hasPrivatePart: false, in: library.context)
      }
      guard let key else { throw refusal }
      defer { zssp_EVP_PKEY_free(key) }
      let operation = makeOperation(with: key, in: library.context)
      defer { zssp_EVP_PKEY_CTX_free(operation) }
      guard ErrorQueue.hidden({ zssp_EVP_PKEY_encapsulate_init(operation, nil) }) == 1 else { throw refusal }
      var ciphertext = [UInt8](repeating: 0, count: KEM.ciphertextSize)
      let secret = try Secret(count: KEM.sharedSecretSize) { output throws(CryptoFailure) in
        var ciphertextSize = KEM.ciphertextSize
        var secretSize = KEM.sharedSecretSize
        let result = output.withBytes { output in
          ErrorQueue.hidden { zssp_EVP_PKEY_encapsulate(operation, &ciphertext, &ciphertextSize, output, &secretSize) }
        }
        guard result == 1, ciphertextSize == KEM.ciphertextSize, secretSize == KEM.sharedSecretSize else {
          throw refusal
        }
      }
      return Encapsulation(ciphertext: ciphertext, sharedSecret: secret)
    }
  }

  /// The private part of an ML-KEM-1024 key of libcrypto.
  final class MLKEMDecapsulationKey: DecapsulationKey {
    let encapsulationKey: [UInt8]
    private nonisolated(unsafe) let key: OpaquePointer
    private let library: Library

    /// Generates a key with libcrypto.
    init(_ library: Library) {
      self.library = library
      key = generateKey("ML-KEM-1024", in: library.context)
      encapsulationKey = publicBytes(of: key, size: KEM.encapsulationKeySize)
    }

    deinit { zssp_EVP_PKEY_free(key) }

    func decapsulate(_ ciphertext: RawSpan) throws(CryptoFailure) -> Secret {
      let refusal = CryptoFailure("an ML-KEM-1024 ciphertext has 1568 bytes")
      guard ciphertext.byteCount == KEM.ciphertextSize else { throw refusal }
      let operation = makeOperation(with: key, in: library.context)
      defer { zssp_EVP_PKEY_CTX_free(operation) }
      guard ErrorQueue.hidden({ zssp_EVP_PKEY_decapsulate_init(operation, nil) }) == 1 else { throw refusal }
      return try Secret(count: KEM.sharedSecretSize) { output throws(CryptoFailure) in
        var size = KEM.sharedSecretSize
        let result = output.withBytes { output in
          ciphertext.withBytes { ciphertext in
            ErrorQueue.hidden { zssp_EVP_PKEY_decapsulate(operation, output, &size, ciphertext, KEM.ciphertextSize) }
          }
        }
        guard result == 1, size == KEM.sharedSecretSize else { throw refusal }
      }
    }
  }

  /// An ML-KEM-1024 key used as a Kyber1024 key: both have the same encoding (section 1).
  final class KyberDecapsulationKey: DecapsulationKey {
    private let inner: any DecapsulationKey
    private let library: Library

    init(_ inner: any DecapsulationKey, library: Library) {
      self.inner = inner
      self.library = library
    }

    var encapsulationKey: [UInt8] { inner.encapsulationKey }

    func decapsulate(_ ciphertext: RawSpan) throws(CryptoFailure) -> Secret {
      library.kyberSecret(try inner.decapsulate(ciphertext), ciphertext: ciphertext)
    }
  }

  extension Library {
    /// Returns the secret of third-round Kyber1024 for an ML-KEM-1024 secret: `SHAKE256(k ||
    /// SHA3-256(ct))[0..<32]` (section 1).
    func kyberSecret(_ secret: Secret, ciphertext: RawSpan) -> Secret {
      let context = require(zssp_EVP_MD_CTX_new(), "EVP_MD_CTX_new")
      defer { zssp_EVP_MD_CTX_free(context) }
      var hash = InlineArray<32, UInt8>(repeating: 0)
      require(zssp_EVP_DigestInit_ex2(context, sha3, nil), "EVP_DigestInit_ex2")
      update(context, with: ciphertext)
      var elements = hash.mutableSpan
      elements.withUnsafeMutableBufferPointer {
        require(zssp_EVP_DigestFinal_ex(context, $0.baseAddress, nil), "EVP_DigestFinal_ex")
      }
      return shake256(secret.bytes, appending: hash.span.bytes, count: KEM.sharedSecretSize)
    }

    /// Returns `count` bytes of SHAKE256 (FIPS 202) of `first || second`.
    func shake256(_ first: RawSpan, appending second: RawSpan, count: Int) -> Secret {
      let context = require(zssp_EVP_MD_CTX_new(), "EVP_MD_CTX_new")
      // The context holds a secret. Freeing it wipes it.
      defer { zssp_EVP_MD_CTX_free(context) }
      require(zssp_EVP_DigestInit_ex2(context, shake256, nil), "EVP_DigestInit_ex2")
      update(context, with: first)
      update(context, with: second)
      return Secret(count: count) { output in
        output.withBytes { require(zssp_EVP_DigestFinalXOF(context, $0, count), "EVP_DigestFinalXOF") }
      }
    }

    private func update(_ context: OpaquePointer, with bytes: RawSpan) {
      bytes.withUnsafeBytes { require(zssp_EVP_DigestUpdate(context, $0.baseAddress, $0.count), "EVP_DigestUpdate") }
    }
  }
#endif
