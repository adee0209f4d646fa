// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("KBKDF (section 2)", .tags(.fast))
struct KBKDFTests {
  /// The labels of the protocol are compiled in.
  private static let labels: [String: StaticString] = [
    "ZSSP": "ZSSP", "ASKH": "ASKH", "ASKK": "ASKK", "ASKR": "ASKR", "ZSSP_OTP_TO_RATCHET": "ZSSP_OTP_TO_RATCHET",
  ]

  // [KDF-1]
  @Test("recorded outputs", arguments: providers, try vectors("unit")["kbkdf"]["cases"].array)
  func recorded(_ provider: any CryptoProvider, _ vector: JSON) throws {
    let label = try #require(Self.labels[try vector["label"].string])
    let key = try vector["key_in"].bytes
    let context = try vector["context_ck"].bytes
    let wanted = try vector["outputs"].array.map { try $0.string }
    let outputs = KBKDF.derive(
      wanted.count, key: key.rawBytes, label: label, context: context.rawBytes, provider: provider)
    #expect(outputs.map(\.hex) == wanted)
    #expect(outputs.allSatisfy { $0.count == 64 })
  }

  // [KDF-2]
  /// The number of outputs is part of the input: two of three are not the two of two.
  @Test("a pair is two outputs, cut to 32 bytes", arguments: providers)
  func pairs(_ provider: any CryptoProvider) {
    let key = [UInt8](0..<32)
    let context = [UInt8](64..<128)
    func derive(_ count: Int) -> [Secret] {
      KBKDF.derive(count, key: key.rawBytes, label: "ASKK", context: context.rawBytes, provider: provider)
    }
    let pair = KBKDF.derivePair(key: key.rawBytes, label: "ASKK", context: context.rawBytes, provider: provider)
    #expect(pair.first == derive(2)[0].prefix(32))
    #expect(pair.second == derive(2)[1].prefix(32))
    #expect(!(derive(3)[0] == derive(2)[0]))
  }
}
