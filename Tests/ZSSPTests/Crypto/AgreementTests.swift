// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP

@Suite("P-384 key agreement", .tags(.fast))
struct AgreementTests {
  /// The order of the group.
  static let order =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"

  // [PRIM-5]
  @Test("known secrets from both sides", arguments: providers, try vectors("unit")["p384"]["cases"].array)
  func known(_ provider: any CryptoProvider, _ vector: JSON) throws {
    let privateA = try vector["a_private"].bytes
    let a = try provider.agreementKey(privateBytes: privateA.rawBytes)
    #expect(a.publicKey.hexadecimal == (try vector["a_public"].string))
    // Two of the vectors are the ends of the range, 1 and n − 1, and have no partner.
    guard !vector["b_private"].isNull else { return }
    let privateB = try vector["b_private"].bytes
    let b = try provider.agreementKey(privateBytes: privateB.rawBytes)
    #expect(b.publicKey.hexadecimal == (try vector["b_public"].string))
    let fromA = try a.sharedSecret(with: try provider.agreementPublicKey(b.publicKey))
    let fromB = try b.sharedSecret(with: try provider.agreementPublicKey(a.publicKey))
    #expect(fromA.hex == (try vector["shared_x"].string))
    #expect(fromB.hex == (try vector["shared_x"].string))
    #expect(fromA.hex.hasPrefix("00") == (try vector["leading_zero"].bool))
  }

  @Test("the vectors have secrets that begin with a zero byte")
  func leadingZeros() throws {
    let secrets = try vectors("unit")["p384"]["cases"].array.compactMap { try? $0["shared_x"].string }
    #expect(secrets.contains { $0.hasPrefix("00") })
  }

  @Test("private keys out of range are refused", arguments: providers)
  func range(_ provider: any CryptoProvider) throws {
    let order = try [UInt8](hex: Self.order)
    let refused: [[UInt8]] = [
      [], [1], .init(repeating: 0, count: 48), order, order.dropLast() + [0x74], .init(repeating: 0xff, count: 48),
      .init(repeating: 1, count: 47), .init(repeating: 1, count: 49), [0] + .init(repeating: 1, count: 48),
    ]
    for bytes in refused {
      #expect(throws: CryptoFailure.self, "\(bytes.hex)") {
        _ = try provider.agreementKey(privateBytes: bytes.rawBytes)
      }
    }
    let largest: [UInt8] = order.dropLast() + [0x72]
    _ = try provider.agreementKey(privateBytes: largest.rawBytes)
  }

  // [PRIM-7]
  @Test("encodings of public keys", arguments: providers, try vectors("unit")["p384_decode_upstream"].array)
  func decoding(_ provider: any CryptoProvider, _ vector: JSON) throws {
    let bytes = try vector["bytes"].bytes
    // Upstream takes a first byte of 05 for 03. Nobody sends it, and we do not take it.
    let expected = try vector["accepted"].bool && bytes[0] != 5
    let decoded = PublicKey(bytes).flatMap { try? provider.agreementPublicKey($0) }
    #expect((decoded != nil) == expected)
    #expect(decoded.map(\.encoded.array) == (expected ? bytes : nil))
  }

  @Test("public keys of another size are none")
  func sizes() throws {
    let key = try [UInt8](hex: "02" + String(repeating: "00", count: 48))
    #expect(PublicKey(key) != nil)
    for bytes in [[], key.dropLast(), key + [0], [4] + key + key.dropFirst()] {
      #expect(PublicKey([UInt8](bytes)) == nil)
    }
  }

  @Test("new keys differ and agree", arguments: providers)
  func generated(_ provider: any CryptoProvider) throws {
    let a = provider.generateAgreementKey()
    let b = provider.generateAgreementKey()
    #expect(a.publicKey != b.publicKey)
    let fromA = try a.sharedSecret(with: try provider.agreementPublicKey(b.publicKey))
    let fromB = try b.sharedSecret(with: try provider.agreementPublicKey(a.publicKey))
    #expect(fromA == fromB)
    #expect(fromA.count == 48)
    let withItself = try a.sharedSecret(with: try provider.agreementPublicKey(a.publicKey))
    #expect(!(fromA == withItself))
  }

  /// A key of another provider, as an endpoint with two providers may pass on.
  final class ForeignKey: AgreementPublicKey {
    let encoded: PublicKey
    init(_ encoded: PublicKey) { self.encoded = encoded }
  }

  @Test("a key that another provider decoded serves, if it is one", arguments: providers)
  func foreign(_ provider: any CryptoProvider) throws {
    let a = provider.generateAgreementKey()
    let b = provider.generateAgreementKey()
    let own = try a.sharedSecret(with: try provider.agreementPublicKey(b.publicKey))
    #expect(try a.sharedSecret(with: ForeignKey(b.publicKey)) == own)
    let offCurve = try #require(PublicKey([2] + .init(repeating: 0xff, count: 48)))
    #expect(throws: CryptoFailure.self) { _ = try a.sharedSecret(with: ForeignKey(offCurve)) }
  }
}
