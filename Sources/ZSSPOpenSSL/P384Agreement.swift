// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL
  import ZSSP

  /// P-384 in one library context (section 1: DH).
  struct Curve: Sendable {
    fileprivate nonisolated(unsafe) let context: OpaquePointer
    private nonisolated(unsafe) let group: OpaquePointer
    /// The order of the group, big-endian.
    private let order: [UInt8]

    static let name: StaticString = "P-384"

    /// Creates the curve; nil if libcrypto does not have it.
    init?(_ context: OpaquePointer) {
      guard let group = zssp_EC_GROUP_new_by_curve_name_ex(context, nil, ZSSP_P384) else { return nil }
      var order = [UInt8](repeating: 0, count: 48)
      guard zssp_BN_bn2binpad(zssp_EC_GROUP_get0_order(group), &order, 48) == 48 else {
        zssp_EC_GROUP_free(group)
        return nil
      }
      self.context = context
      self.group = group
      self.order = order
    }

    /// Returns true if the 48 bytes are a number from one to the order less one. The time does not
    /// depend on them.
    func isInRange(_ scalar: RawSpan) -> Bool {
      var borrow = 0
      var bits = UInt8(0)
      for index in stride(from: 47, through: 0, by: -1) {
        borrow = (Int(scalar[byte: index]) - Int(order[index]) - borrow) >> 8 & 1
        bits |= scalar[byte: index]
      }
      return borrow == 1 && bits != 0
    }

    /// Returns the compressed public key of a private one, 49 bytes.
    ///
    /// libcrypto's key types take both parts and compute neither from the other. No service of the
    /// FIPS module does either; with it, the module checks the finished key.
    func publicBytes(of scalar: RawSpan) -> [UInt8] {
      let number = require(scalar.withBytes { zssp_BN_bin2bn($0, Int32(scalar.byteCount), nil) }, "BN_bin2bn")
      defer { zssp_BN_clear_free(number) }
      zssp_BN_set_flags(number, ZSSP_CONSTANT_TIME)
      let point = require(zssp_EC_POINT_new(group), "EC_POINT_new")
      defer { zssp_EC_POINT_clear_free(point) }
      require(zssp_EC_POINT_mul(group, point, number, nil, nil, nil), "EC_POINT_mul")
      return [UInt8](unsafeUninitializedCapacity: PublicKey.size) { bytes, count in
        count = zssp_EC_POINT_point2oct(
          group, point, zssp_point_form(ZSSP_COMPRESSED), bytes.baseAddress, PublicKey.size, nil)
      }
    }
  }

  /// A P-384 private key with its computed public part.
  final class P384AgreementKey: AgreementPrivateKey {
    let publicKey: PublicKey
    private nonisolated(unsafe) let key: OpaquePointer
    private let library: Library

    private init(_ key: OpaquePointer, publicKey: PublicKey, library: Library) {
      self.key = key
      self.publicKey = publicKey
      self.library = library
    }

    deinit { zssp_EVP_PKEY_free(key) }

    /// Generates a key. libcrypto draws it from the generator that
    /// ``OpenSSLProvider/fillRandom(_:)`` uses, and the FIPS module checks it.
    static func random(_ library: Library) -> P384AgreementKey {
      let key = generateKey("EC", group: Curve.name, in: library.context)
      // 04 || x || y. The last bit of y gives the first byte of the compressed form.
      let point = publicBytes(of: key, size: 97)
      guard point.count == 97, let publicKey = PublicKey([2 | point[96] & 1] + point[1...48]) else {
        fatalError("libcrypto made a P-384 key that is no point")
      }
      return P384AgreementKey(key, publicKey: publicKey, library: library)
    }

    convenience init(privateBytes: RawSpan, _ library: Library) throws(CryptoFailure) {
      let refusal = CryptoFailure("not a P-384 private key: 48 bytes, not zero, below the group order")
      guard privateBytes.byteCount == 48, library.curve.isInRange(privateBytes) else { throw refusal }
      let publicBytes = library.curve.publicBytes(of: privateBytes)
      // libcrypto reads integers in the byte order of the machine.
      let integer = Secret(count: 48) { output in
        for index in 0..<48 { output.store(privateBytes[byte: Self.isBigEndian ? index : 47 - index], at: index) }
      }
      let key = publicBytes.withUnsafeBytes { point in
        integer.bytes.withUnsafeBytes { integer in
          var parameters = KeyParameters()
          parameters.add("group", text: Curve.name)
          parameters.add("pub", bytes: point)
          parameters.add("priv", integer: integer)
          return parameters.makeKey("EC", hasPrivatePart: true, in: library.context)
        }
      }
      guard let key, let publicKey = PublicKey(publicBytes) else { throw refusal }
      self.init(key, publicKey: publicKey, library: library)
      if library.isFIPS { try check() }
    }

    private static var isBigEndian: Bool { UInt16(bigEndian: 1) == 1 }

    /// Makes the FIPS module compute the public part as well, and compare.
    private func check() throws(CryptoFailure) {
      let operation = makeOperation(with: key, in: library.context)
      defer { zssp_EVP_PKEY_CTX_free(operation) }
      guard ErrorQueue.hidden({ zssp_EVP_PKEY_pairwise_check(operation) }) == 1 else {
        throw CryptoFailure("the FIPS module refuses the P-384 private key")
      }
    }

    func sharedSecret(with publicKey: any AgreementPublicKey) throws(CryptoFailure) -> Secret {
      // A key that another provider or another library context decoded is decoded again here.
      let own = (publicKey as? P384PublicKey).flatMap { $0.library === library ? $0 : nil }
      let peer = if let own { own } else { try P384PublicKey(publicKey.encoded, library: library) }
      let operation = makeOperation(with: key, in: library.context)
      defer { zssp_EVP_PKEY_CTX_free(operation) }
      // The peer's key was checked when it was decoded. Checking it again would take as long as the
      // agreement.
      let isReady = ErrorQueue.hidden {
        zssp_EVP_PKEY_derive_init(operation) == 1 && zssp_EVP_PKEY_derive_set_peer_ex(operation, peer.key, 0) == 1
      }
      guard isReady else { throw CryptoFailure("P-384 key agreement failed") }
      return try Secret(count: 48) { output throws(CryptoFailure) in
        var size = 48
        let result = output.withBytes { bytes in ErrorQueue.hidden { zssp_EVP_PKEY_derive(operation, bytes, &size) } }
        guard result == 1, size == 48 else { throw CryptoFailure("P-384 key agreement failed") }
      }
    }
  }

  /// A decoded P-384 public key.
  final class P384PublicKey: AgreementPublicKey {
    let encoded: PublicKey
    fileprivate nonisolated(unsafe) let key: OpaquePointer
    fileprivate let library: Library

    init(_ encoded: PublicKey, library: Library) throws(CryptoFailure) {
      // Decoding finds y, which proves that there is such a point. The group has no other
      // subgroups, and infinity has another encoding, so no other check is needed (SP 800-56A
      // section 5.6.2.3.4).
      let key = encoded.bytes.withUnsafeBytes { point in
        var parameters = KeyParameters()
        parameters.add("group", text: Curve.name)
        parameters.add("pub", bytes: point)
        return parameters.makeKey("EC", hasPrivatePart: false, in: library.context)
      }
      guard let key else { throw CryptoFailure("the public key is not a point of P-384") }
      self.encoded = encoded
      self.key = key
      self.library = library
      if library.isFIPS { try check() }
    }

    deinit { zssp_EVP_PKEY_free(key) }

    /// Runs the full validation, which SP 800-56A requires for keys that are not ephemeral.
    private func check() throws(CryptoFailure) {
      let operation = makeOperation(with: key, in: library.context)
      defer { zssp_EVP_PKEY_CTX_free(operation) }
      guard ErrorQueue.hidden({ zssp_EVP_PKEY_public_check(operation) }) == 1 else {
        throw CryptoFailure("the FIPS module refuses the P-384 public key")
      }
    }
  }
#endif
