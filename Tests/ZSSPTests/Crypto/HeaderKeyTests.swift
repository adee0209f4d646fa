// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPRandom

@Suite("AES-256 on single blocks", .tags(.fast))
struct HeaderKeyTests {
  // [PRIM-4]
  @Test("fragment headers", arguments: providers, try vectors("unit")["header_encryption"]["cases"].array)
  func fragments(_ provider: any CryptoProvider, _ vector: JSON) throws {
    let key = provider.headerKey(try vector["header_key"].bytes.secret)
    let clear = try vector["clear_fragment"].bytes
    let wire = try vector["wire_fragment"].bytes
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

  @Test("many blocks at once are as they would be one by one", arguments: providers)
  func batches(_ provider: any CryptoProvider) {
    var random = SplitMix64(seed: 9)
    let key = provider.headerKey(random.bytes(32).secret)
    for count in Array(0...40) + [63, 64, 65, 130, 200] {
      for stride in [16, 17, 100, 1400] {
        let clear = random.bytes(max(0, count - 1) * stride + (count == 0 ? 0 : 16))
        var single = clear
        var batch = clear
        single.withMutableBytes { bytes in
          for index in 0..<count {
            var block = bytes.slice(index * stride..<index * stride + 16)
            key.encrypt(&block)
          }
        }
        batch.withMutableBytes { key.encrypt(&$0, stride: stride, count: count) }
        #expect(batch == single, "\(count) blocks, \(stride) bytes apart")
        batch.withMutableBytes { key.decrypt(&$0, stride: stride, count: count) }
        #expect(batch == clear, "\(count) blocks, \(stride) bytes apart")
      }
    }
  }

  // [PRIM-4]
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
