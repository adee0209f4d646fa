// SPDX-License-Identifier: Apache-2.0
#if CryptoMB && os(Linux) && arch(x86_64)
  import CZSSPCryptoMB
  import ZSSP

  /// P-384 on up to eight keys at once. A value exists only if `crypto_mb` was loaded.
  struct Lanes: AgreementBatches {
    /// The provider of randomness, and of keys that did not come from here.
    let base: any CryptoProvider

    private static let scalarSize = Int(ZSSP_P384_SIZE)
    private static let pointSize = 2 * Int(ZSSP_P384_SIZE)

    var size: Int { Int(ZSSP_P384_LANES) }

    func generate(_ count: Int) -> [any AgreementPrivateKey] {
      keys((0..<count).map { _ in randomScalar() })
    }

    /// Returns the private key of 48 bytes.
    ///
    /// - Throws: `CryptoFailure` if it is out of range.
    func key(_ scalar: Secret) throws(CryptoFailure) -> any AgreementPrivateKey {
      guard Self.isInRange(scalar) else {
        throw CryptoFailure("not a P-384 private key: 48 bytes, not zero, below the group order")
      }
      return keys([scalar])[0]
    }

    private static func isInRange(_ scalar: Secret) -> Bool {
      scalar.count == scalarSize && scalar.bytes.withUnsafeBytes { zssp_p384_is_scalar($0.bytePointer) } == 1
    }

    /// Returns the keys of scalars in range.
    private func keys(_ scalars: [Secret]) -> [LanePrivateKey] {
      let count = scalars.count
      let joined = Secret(joining: scalars)
      var points = [UInt8](repeating: 0, count: count * Self.pointSize)
      let failed = joined.bytes.withUnsafeBytes { scalars in
        points.withUnsafeMutableBytes { points in
          zssp_p384_public_keys(count, scalars.bytePointer, points.bytePointer)
        }
      }
      // Every scalar in range has a public key, so only a broken library fails.
      guard failed == 0 else { fatalError("crypto_mb cannot compute a P-384 public key") }
      return scalars.enumerated().map { lane, scalar in
        LanePrivateKey(scalar, publicKey: Self.encoded(points, lane: lane), base: base)
      }
    }

    func decode(_ keys: [PublicKey]) -> [(any AgreementPublicKey)?] {
      zip(keys, coordinates(of: keys)).map { key, coordinates in coordinates.map { LanePublicKey(key, coordinates: $0) }
      }
    }

    func agree(_ pairs: [(own: any AgreementPrivateKey, peer: any AgreementPublicKey)]) -> [Secret?] {
      let peers = coordinates(of: pairs.map(\.peer))
      // A key of another provider does the agreement itself.
      let own = pairs.map { $0.own as? LanePrivateKey }
      let lanes = pairs.indices.filter { own[$0] != nil && peers[$0] != nil }
      let secrets = agree(scalars: lanes.compactMap { own[$0]?.scalar }, points: lanes.compactMap { peers[$0] })
      var results = [Secret?](repeating: nil, count: pairs.count)
      for (lane, secret) in zip(lanes, secrets) { results[lane] = secret }
      for index in pairs.indices where own[index] == nil {
        results[index] = try? pairs[index].own.sharedSecret(with: pairs[index].peer)
      }
      return results
    }

    private func agree(scalars: [Secret], points: [[UInt8]]) -> [Secret?] {
      guard !scalars.isEmpty else { return [] }
      let joined = Secret(joining: scalars)
      var failed: UInt32 = 0
      let secrets = Secret(count: scalars.count * Self.scalarSize) { output in
        output.withUnsafeMutableBytes { output in
          joined.bytes.withUnsafeBytes { scalarBytes in
            Array(points.joined()).withUnsafeBytes { points in
              failed = zssp_p384_secrets(
                scalars.count, scalarBytes.bytePointer, points.bytePointer, output.bytePointer)
            }
          }
        }
      }
      return scalars.indices.map { failed >> $0 & 1 == 0 ? secrets.part($0, of: Self.scalarSize) : nil }
    }

    /// Returns the coordinates of public keys. Those that were decoded elsewhere are decoded here,
    /// together.
    private func coordinates(of keys: [any AgreementPublicKey]) -> [[UInt8]?] {
      var results = keys.map { ($0 as? LanePublicKey)?.coordinates }
      let missing = results.indices.filter { results[$0] == nil }
      for (index, decoded) in zip(missing, coordinates(of: missing.map { keys[$0].encoded })) {
        results[index] = decoded
      }
      return results
    }

    private func coordinates(of keys: [PublicKey]) -> [[UInt8]?] {
      guard !keys.isEmpty else { return [] }
      let encoded = keys.flatMap(\.array)
      var points = [UInt8](repeating: 0, count: keys.count * Self.pointSize)
      let refused = encoded.withUnsafeBytes { encoded in
        points.withUnsafeMutableBytes { points in
          zssp_p384_decode(keys.count, encoded.bytePointer, points.bytePointer)
        }
      }
      return keys.indices.map { lane in
        refused >> lane & 1 == 0 ? Array(points[lane * Self.pointSize..<(lane + 1) * Self.pointSize]) : nil
      }
    }

    private func randomScalar() -> Secret {
      // About one of 2^190 draws is refused.
      while true {
        let scalar = base.random(Self.scalarSize)
        if Self.isInRange(scalar) { return scalar }
      }
    }

    /// Returns the compressed form of a point: the last bit of y gives the first byte.
    private static func encoded(_ points: [UInt8], lane: Int) -> PublicKey {
      let point = points[lane * pointSize..<(lane + 1) * pointSize]
      guard let key = PublicKey([2 | point[point.endIndex - 1] & 1] + point.prefix(scalarSize)) else {
        fatalError("a compressed point has another size")
      }
      return key
    }
  }

  extension UnsafeRawBufferPointer {
    /// The address of the first byte, for a C function to read.
    var bytePointer: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
  }

  extension UnsafeMutableRawBufferPointer {
    /// The address of the first byte, for a C function to write to.
    var bytePointer: UnsafeMutablePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
  }
#endif
