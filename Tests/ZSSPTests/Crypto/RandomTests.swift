// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP

@Suite("Random bytes", .tags(.fast))
struct RandomTests {
  @Test("every byte of every size is drawn, and nothing else is written", arguments: providers)
  func fill(_ provider: any CryptoProvider) {
    for count in 0...20 {
      // A byte that is never drawn stays the same in 64 turns; one that is does so with a chance of
      // 2^-504.
      var varied = [UInt8](repeating: 0, count: count + 2)
      for _ in 0..<64 {
        var bytes = [UInt8](repeating: 0, count: count + 2)
        bytes.withMutableBytes { all in
          var middle = all.slice(1..<count + 1)
          provider.fillRandom(&middle)
        }
        for index in bytes.indices { varied[index] |= bytes[index] }
      }
      #expect(varied.first == 0 && varied.last == 0)
      #expect(varied.dropFirst().dropLast().allSatisfy { $0 != 0 }, "\(count) bytes")
    }
  }

  @Test("two draws differ", arguments: providers)
  func differ(_ provider: any CryptoProvider) {
    #expect(!(provider.random(32) == provider.random(32)))
    #expect(provider.randomInteger(UInt64.self) != provider.randomInteger(UInt64.self))
  }
}
