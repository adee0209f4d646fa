// SPDX-License-Identifier: Apache-2.0
#if CryptoMB && os(Linux) && arch(x86_64)
  import ZSSP

  /// A P-384 private key with its computed public part.
  final class LanePrivateKey: AgreementPrivateKey {
    let publicKey: PublicKey
    /// 48 bytes, big-endian, in range.
    let scalar: Secret
    /// The key in the other provider's form; nil if it was generated together with others.
    private let baseKey: (any AgreementPrivateKey)?
    private let lanes: Lanes

    /// Creates a key whose public part the other provider computes.
    init(_ scalar: Secret, lanes: Lanes) throws(CryptoFailure) {
      let key = try lanes.base.agreementKey(privateBytes: scalar.bytes)
      publicKey = key.publicKey
      self.scalar = scalar
      baseKey = key
      self.lanes = lanes
    }

    /// Creates a key whose public part is computed.
    init(_ scalar: Secret, publicKey: PublicKey, lanes: Lanes) {
      self.publicKey = publicKey
      self.scalar = scalar
      baseKey = nil
      self.lanes = lanes
    }

    func sharedSecret(with publicKey: any AgreementPublicKey) throws(CryptoFailure) -> Secret {
      guard let baseKey else {
        // Making a key for the other provider would take as long as another agreement.
        guard let secret = lanes.agree([(self, publicKey)])[0] else {
          throw CryptoFailure("P-384 key agreement failed")
        }
        return secret
      }
      if let decoded = (publicKey as? LanePublicKey)?.decodedByBase { return try baseKey.sharedSecret(with: decoded) }
      return try baseKey.sharedSecret(with: lanes.base.agreementPublicKey(publicKey.encoded))
    }
  }

  /// A decoded P-384 public key.
  final class LanePublicKey: AgreementPublicKey {
    let encoded: PublicKey
    /// The key as the other provider decoded it; nil if it was decoded together with others.
    let decodedByBase: (any AgreementPublicKey)?
    /// x and y, 48 bytes each, big-endian; nil if the other provider decoded the key.
    let coordinates: [UInt8]?

    init(decodedByBase key: any AgreementPublicKey) {
      encoded = key.encoded
      decodedByBase = key
      coordinates = nil
    }

    init(_ encoded: PublicKey, coordinates: [UInt8]) {
      self.encoded = encoded
      decodedByBase = nil
      self.coordinates = coordinates
    }
  }
#endif
