// SPDX-License-Identifier: Apache-2.0

import Crypto
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPSwiftCrypto

@Suite("SHAKE256", .tags(.fast))
struct SHAKE256Tests {
  static func shake(_ first: [UInt8], _ second: [UInt8] = [], count: Int) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: count)
    output.withMutableBytes { Keccak.shake256(first.rawBytes, appending: second.rawBytes, into: &$0) }
    return output
  }

  static func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 % 251) } }

  @Test("the examples of NIST: no bits, and 1600 bits of A3")
  func examples() {
    #expect(
      Self.shake([], count: 64).hex == "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"
        + "d75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be")
    #expect(
      Self.shake(.init(repeating: 0xa3, count: 200), count: 64).hex
        == "cd8a920ed141aa0407a22d59288652e9d9f1a7ee0c1e7c1ca699424da84a904d"
        + "2d700caae7396ece96604440577da4f3aa22aeb8857f961c4cd8e06f0ae6610b")
  }

  @Test(
    "messages and outputs around the ends of blocks", arguments: try vectors("primitives")["shake256"]["cases"].array)
  func lengths(_ vector: JSON) throws {
    let message = Self.pattern(try vector["length"].int)
    let output = try vector["output"].bytes
    #expect(Self.shake(message, count: output.count) == output)
    for cut in Set([0, message.count / 3, min(136, message.count), message.count]) {
      let value = Self.shake([UInt8](message[..<cut]), [UInt8](message[cut...]), count: output.count)
      #expect(value == output, "cut at \(cut)")
    }
  }

  @Test("a shorter output is the beginning of a longer one")
  func prefixes() {
    let long = Self.shake([1, 2, 3], count: 300)
    for count in [0, 1, 32, 135, 136, 137, 299] {
      #expect(Self.shake([1, 2, 3], count: count) == [UInt8](long.prefix(count)))
    }
  }

  @Test("the same sponge with the other suffix is the SHA3-256 of swift-crypto")
  func sha3() {
    for count in 0...300 {
      let message = Self.pattern(count)
      var output = [UInt8](repeating: 0, count: 32)
      output.withMutableBytes { Keccak.sha3(message.rawBytes, appending: [UInt8]().rawBytes, into: &$0) }
      #expect(output == [UInt8](SHA3_256.hash(data: message)), "\(count) bytes")
    }
  }
}
