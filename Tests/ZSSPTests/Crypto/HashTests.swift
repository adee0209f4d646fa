// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP

@Suite("SHA-512 and HMAC-SHA-512", .tags(.fast))
struct HashTests {
  /// The examples of FIPS 180-4, and the empty message.
  static let digests: [(message: String, digest: String)] = [
    (
      "",
      "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
        + "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
    ),
    (
      "abc",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    ),
    (
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrst"
        + "nopqrstu",
      "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
        + "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"
    ),
    (
      String(repeating: "a", count: 1_000_000),
      "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
        + "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"
    ),
  ]

  // [PRIM-1]
  @Test("known digests", arguments: providers, digests.indices)
  func digest(_ provider: any CryptoProvider, _ index: Int) {
    let (message, digest) = Self.digests[index]
    let bytes = [UInt8](message.utf8)
    #expect(provider.hash(bytes.rawBytes, [UInt8]().rawBytes).bytes.hexadecimal == digest)
    #expect(provider.hash([UInt8]().rawBytes, bytes.rawBytes).bytes.hexadecimal == digest)
    for cut in [1, bytes.count / 2, bytes.count - 1] where (0...bytes.count).contains(cut) {
      let value = provider.hash([UInt8](bytes[..<cut]).rawBytes, [UInt8](bytes[cut...]).rawBytes)
      #expect(value.bytes.hexadecimal == digest)
    }
  }

  /// RFC 4231 section 4 (the fifth truncated there to 128 bits), and an empty key, which section 3
  /// of the specification has for Split().
  static let codes: [(key: [UInt8], message: [UInt8], code: String)] = [
    (
      .init(repeating: 0x0b, count: 20), .init("Hi There".utf8),
      "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
        + "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"
    ),
    (
      .init("Jefe".utf8), .init("what do ya want for nothing?".utf8),
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        + "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
    ),
    (
      .init(repeating: 0xaa, count: 20), .init(repeating: 0xdd, count: 50),
      "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
        + "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"
    ),
    (
      .init(1...25), .init(repeating: 0xcd, count: 50),
      "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
        + "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"
    ),
    (
      .init(repeating: 0x0c, count: 20), .init("Test With Truncation".utf8),
      "415fad6271580a531d4179bc891d87a6"
    ),
    (
      .init(repeating: 0xaa, count: 131), .init("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
      "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
        + "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"
    ),
    (
      .init(repeating: 0xaa, count: 131),
      .init(
        ("This is a test using a larger than block-size key and a larger than block-size data. "
          + "The key needs to be hashed before being used by the HMAC algorithm.").utf8),
      "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
        + "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"
    ),
    (
      [], [],
      "b936cee86c9f87aa5d3c6f2e84cb5a4239a5fe50480a6ec66b70ab5b1f4ac673"
        + "0c6c515421b327ec1d69402e53dfb49ad7381eb067b338fd7b0cb22247225d47"
    ),
  ]

  // [PRIM-2]
  @Test("known authentication codes", arguments: providers, codes.indices)
  func code(_ provider: any CryptoProvider, _ index: Int) {
    let (key, message, code) = Self.codes[index]
    let authenticator = provider.authenticator(key: key.rawBytes)
    // One keyed value serves several messages, and none leaves a trace in the next.
    for _ in 0..<2 {
      #expect(authenticator.authenticationCode(for: message.rawBytes).hex.hasPrefix(code))
      #expect(!authenticator.authenticationCode(for: (message + [0]).rawBytes).hex.hasPrefix(code))
    }
    #expect(authenticator.authenticationCode(for: message.rawBytes).count == 64)
  }

  @Test("KBKDF outputs are codes of one keyed value", arguments: providers, try vectors("unit")["kbkdf"]["cases"].array)
  func keyDerivation(_ provider: any CryptoProvider, _ vector: JSON) throws {
    let input = try vector["first_hmac_input"].bytes
    let key = try vector["key_in"].bytes
    let authenticator = provider.authenticator(key: key.rawBytes)
    for (index, output) in try vector["outputs"].array.enumerated() {
      let message = [UInt8(index + 1)] + input.dropFirst()
      #expect(authenticator.authenticationCode(for: message.rawBytes).hex == (try output.string))
    }
  }
}
