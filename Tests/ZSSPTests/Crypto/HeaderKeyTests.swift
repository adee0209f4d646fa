// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSP

@Suite("AES-256 on single blocks")
struct HeaderKeyTests {
  @Test("fragment headers", arguments: providers, try vectors("unit")["header_encryption"]["cases"].array)
  func fragments(_ provider: any CryptoProvider, _ vector: JSON) throws {
    let key = provider.headerKey(try vector["header_key"].bytes.secret)
    let (clear, wire) = (try vector["clear_fragment"].bytes, try vector["wire_fragment"].bytes)
    var fragment = clear
    // One key encrypts and decrypts many blocks.
    for _ in 0..<3 {
      fragment.withMutableBytes { bytes in
        var block = bytes.slice(4..<20)
        key.encrypt(&block)
      }
      #expect(fragment == wire)
      fragment.withMutableBytes { bytes in
        var block = bytes.slice(4..<20)
        key.decrypt(&block)
      }
      #expect(fragment == clear)
    }
  }

  @Test("the example of FIPS 197 appendix C.3", arguments: providers)
  func example(_ provider: any CryptoProvider) throws {
    let key = provider.headerKey([UInt8](0..<32).secret)
    var block = try [UInt8](hex: "00112233445566778899aabbccddeeff")
    block.withMutableBytes { key.encrypt(&$0) }
    #expect(block.hex == "8ea2b7ca516745bfeafc49904b496089")
    block.withMutableBytes { key.decrypt(&$0) }
    #expect(block.hex == "00112233445566778899aabbccddeeff")
  }
}
