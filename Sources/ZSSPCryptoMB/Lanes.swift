// SPDX-License-Identifier: Apache-2.0
#if CryptoMB && os(Linux) && arch(x86_64)
  import ZSSP

  /// P-384 on up to eight keys at once.
  struct Lanes: AgreementBatches {
    let library: Library
    /// The provider of randomness, of keys that did not come from here, and of operations that the
    /// library fails to do.
    let base: any CryptoProvider

    var size: Int { Library.lanes }

    var failures: UInt64 { library.failures }

    func generate(_ count: Int) -> [any AgreementPrivateKey] {
      let scalars = (0..<count).map { _ in randomScalar() }
      // The other provider refuses no scalar in range. If it did, it would have to make the key.
      return keys(scalars).map { $0 ?? base.generateAgreementKey() }
    }

    /// Returns the private key of 48 bytes.
    ///
    /// - Throws: `CryptoFailure` if it is out of range.
    func key(_ scalar: Secret) throws(CryptoFailure) -> any AgreementPrivateKey {
      guard Library.isInRange(scalar), let key = keys([scalar])[0] else {
        throw CryptoFailure("not a P-384 private key: 48 bytes, not zero, below the group order")
      }
      return key
    }

    /// Returns the keys of scalars in range; nil for each that both the library and the other
    /// provider refuse.
    private func keys(_ scalars: [Secret]) -> [LanePrivateKey?] {
      let (points, failed) = library.publicKeys(of: Secret(joining: scalars))
      library.count(failures: failed.nonzeroBitCount)
      return scalars.enumerated().map { lane, scalar in
        guard failed >> lane & 1 == 0, let publicKey = Self.encoded(points, lane: lane) else {
          // Every scalar in range has a public key, so the library has failed.
          return try? LanePrivateKey(scalar, lanes: self)
        }
        return LanePrivateKey(scalar, publicKey: publicKey, lanes: self)
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
      let (secrets, failed) = agree(
        scalars: lanes.compactMap { own[$0]?.scalar }, points: lanes.compactMap { peers[$0] })
      library.count(failures: failed.nonzeroBitCount)
      var results = [Secret?](repeating: nil, count: pairs.count)
      for (lane, index) in lanes.enumerated() {
        if failed >> lane & 1 == 0 {
          results[index] = secrets.part(lane, of: Library.scalarSize)
        } else if let scalar = own[index]?.scalar {
          // Both keys are valid, so the library has failed.
          results[index] = agreeAlone(scalar, with: pairs[index].peer.encoded)
        }
      }
      for index in pairs.indices where own[index] == nil {
        results[index] = try? pairs[index].own.sharedSecret(with: pairs[index].peer)
      }
      return results
    }

    private func agree(scalars: [Secret], points: [[UInt8]]) -> (joined: Secret, failed: UInt32) {
      guard !scalars.isEmpty else { return (.zeros(0), 0) }
      return library.secrets(of: Secret(joining: scalars), with: Array(points.joined()))
    }

    private func agreeAlone(_ scalar: Secret, with peer: PublicKey) -> Secret? {
      try? base.agreementKey(privateBytes: scalar.bytes).sharedSecret(with: base.agreementPublicKey(peer))
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
      let (points, refused) = Library.decode(keys.flatMap(\.array))
      return keys.indices.map { lane in
        refused >> lane & 1 == 0 ? Array(points[lane * Library.pointSize..<(lane + 1) * Library.pointSize]) : nil
      }
    }

    private func randomScalar() -> Secret {
      // About one of 2^190 draws is refused.
      while true {
        let scalar = base.random(Library.scalarSize)
        if Library.isInRange(scalar) { return scalar }
      }
    }

    /// Returns the compressed form of a point: the last bit of y gives the first byte.
    private static func encoded(_ points: [UInt8], lane: Int) -> PublicKey? {
      let point = points[lane * Library.pointSize..<(lane + 1) * Library.pointSize]
      return PublicKey([2 | point[point.endIndex - 1] & 1] + point.prefix(Library.scalarSize))
    }
  }
#endif
