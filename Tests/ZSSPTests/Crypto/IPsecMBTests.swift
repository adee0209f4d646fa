// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import Testing
  import ZSSPTestSupport
  import ZSSP
  import ZSSPSwiftCrypto

  @testable import ZSSPIPsecMB

  @Suite("intel-ipsec-mb", .tags(.fast))
  struct IPsecMBTests {
    @Test("the name is that of both libraries")
    func name() throws {
      let provider: any CryptoProvider = try .ipsecMB(handshakes: .swiftCrypto)
      #expect(provider.name.hasPrefix("intel-ipsec-mb 1.") || provider.name.hasPrefix("intel-ipsec-mb 2."))
      #expect(provider.name.hasSuffix(" with " + SwiftCryptoProvider().name))
    }

    /// Bits of the library's features: AES-NI, PCLMULQDQ, SSE4.2, and one that AES-GCM can do
    /// without.
    @Test(
      "a processor without the instructions is named",
      arguments: [
        (1 << 1 | 1 << 2 | 1 << 4, []),
        (1 << 1 | 1 << 2 | 1 << 4 | 1 << 12, []),
        (1 << 2 | 1 << 4, ["AES-NI"]),
        (1 << 1 | 1 << 4, ["PCLMULQDQ"]),
        (1 << 12, ["AES-NI", "PCLMULQDQ", "SSE4.2"]),
      ] as [(UInt64, [String])])
    func processors(_ features: UInt64, _ missing: [String]) {
      #expect(Manager.missingInstructions(features) == missing)
      let description = IPsecMBError.processorLacks(missing).description
      #expect(missing.allSatisfy { description.contains($0) })
    }

    @Test("messages too short for a tag are refused")
    func short() throws {
      let key = try IPsecMBProvider(handshakes: .swiftCrypto).packetKey([UInt8](repeating: 1, count: 32).secret)
      for size in 0..<16 {
        var message = [UInt8](repeating: 0, count: size)
        let opened = message.withMutableBytes {
          key.open(&$0, nonce: Nonce(type: 8, counter: 0), authenticating: RawSpan())
        }
        #expect(!opened)
      }
    }
  }
#endif
