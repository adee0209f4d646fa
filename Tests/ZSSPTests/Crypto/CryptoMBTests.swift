// SPDX-License-Identifier: Apache-2.0
#if CryptoMB && os(Linux) && arch(x86_64)
  import Foundation
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPSwiftCrypto

  @testable import ZSSPCryptoMB

  /// False where the library or the processor's instructions are missing. `Providers.swift` prints
  /// it.
  private let isAvailable = (try? CryptoMBProvider(base: .swiftCrypto)) != nil

  @Suite("crypto_mb", .tags(.fast), .enabled(if: isAvailable))
  struct CryptoMBTests {
    private let base = SwiftCryptoProvider()
    private let provider: CryptoMBProvider
    private let lanes: any AgreementBatches

    init() throws {
      provider = try CryptoMBProvider(base: base)
      lanes = try #require(provider.batches)
    }

    @Test("the name is that of both libraries")
    func name() {
      #expect(provider.name.hasPrefix("crypto_mb ") && provider.name.hasSuffix(" with " + base.name))
    }

    /// `ZSSP_FULL_AGREEMENTS` sets the number of pairs.
    @Test("lanes give the secrets, keys and points of another provider")
    func crossCheck() throws {
      let wanted = ProcessInfo.processInfo.environment["ZSSP_FULL_AGREEMENTS"].flatMap(Int.init) ?? 400
      var done = 0
      while done < wanted {
        let count = 1 + done % 8
        let own = lanes.generate(count)
        let peers = (0..<count).map { _ in base.generateAgreementKey() }
        let decoded = lanes.decode(peers.map(\.publicKey))
        let pairs = try zip(own, decoded).map { ($0, try #require($1)) }
        for (lane, secret) in lanes.agree(pairs).enumerated() {
          let expected = try peers[lane].sharedSecret(with: base.agreementPublicKey(own[lane].publicKey))
          #expect(secret.map { $0 == expected } == true)
        }
        done += count
      }
    }

    @Test("about half of all x are points, in lanes as elsewhere")
    func points() throws {
      var accepted = 0
      for round in 0..<40 {
        let keys = try (0..<8).map { _ in
          try #require(PublicKey([2 + UInt8(round % 2)] + base.random(48).bytes.array))
        }
        for (key, decoded) in zip(keys, lanes.decode(keys)) {
          #expect((decoded != nil) == ((try? base.agreementPublicKey(key)) != nil), "\(key)")
          accepted += decoded == nil ? 0 : 1
        }
      }
      #expect((80...240).contains(accepted))
    }

    @Test("a lane that fails leaves the others alone")
    func oneFails() throws {
      let own = lanes.generate(3)
      let peers = (0..<3).map { _ in base.generateAgreementKey() }
      let offCurve = try #require(PublicKey([2] + .init(repeating: 0xff, count: 48)))
      let keys: [any AgreementPublicKey] = [
        try provider.agreementPublicKey(peers[0].publicKey), AgreementTests.ForeignKey(offCurve),
        AgreementTests.ForeignKey(peers[2].publicKey),
      ]
      let secrets = lanes.agree(zip(own, keys).map { ($0, $1) })
      #expect(secrets.map { $0 == nil } == [false, true, false])
      for lane in [0, 2] {
        let expected = try peers[lane].sharedSecret(with: base.agreementPublicKey(own[lane].publicKey))
        #expect(secrets[lane].map { $0 == expected } == true)
      }
      #expect(
        lanes.decode([peers[0].publicKey, offCurve, peers[2].publicKey]).map { $0 == nil } == [false, true, false])
    }

    @Test("keys of both kinds and of other providers agree with each other")
    func mixed() throws {
      let alone = provider.generateAgreementKey()
      let together = lanes.generate(2)
      let foreign = base.generateAgreementKey()
      let keys = [alone, together[0], together[1], foreign]
      let decodedTogether = lanes.decode(keys.map(\.publicKey))
      for one in keys {
        for (index, other) in keys.enumerated() {
          let expected = try other.sharedSecret(with: base.agreementPublicKey(one.publicKey))
          let decoded = try #require(decodedTogether[index])
          #expect(try one.sharedSecret(with: decoded) == expected)
          #expect(try one.sharedSecret(with: provider.agreementPublicKey(other.publicKey)) == expected)
          let secrets = lanes.agree([(one, decoded), (one, try provider.agreementPublicKey(other.publicKey))])
          #expect(secrets.allSatisfy { $0.map { $0 == expected } == true })
        }
      }
    }

    @Test("the ends of the range, in all lanes")
    func ends() throws {
      let largest: [UInt8] = try [UInt8](hex: AgreementTests.order).dropLast() + [0x72]
      let one = [UInt8](repeating: 0, count: 47) + [1]
      let peer = base.generateAgreementKey().publicKey
      let decoded = try #require(lanes.decode([peer])[0])
      let pairs = try (0..<8).map { lane in
        (
          own: try LaneByLane(provider).agreementKey(privateBytes: (lane % 2 == 0 ? one : largest).rawBytes),
          peer: decoded
        )
      }
      // Both ends give the point itself or its mirror image, which have the same x.
      let x = Secret(copying: peer.bytes.extracting(1..<49))
      #expect(lanes.agree(pairs).allSatisfy { $0.map { $0 == x } == true })
    }

    @Test("the self test covers single operations and lanes")
    func selfTest() throws { try provider.selfTest() }
  }

  @Suite("Reasons why crypto_mb cannot be used", .tags(.fast))
  struct CryptoMBErrorTests {
    @Test("say what to do")
    func texts() {
      let missing = CryptoMBError.libraryMissing(reason: "libcrypto_mb.so.13 cannot be loaded: not found")
      #expect(missing.description.contains("Scripts/crypto-mb") && missing.description.contains("not found"))
      #expect(CryptoMBError.processorLacksInstructions(reason: "AVX-512").description.contains("AVX-512"))
    }
  }
#endif
