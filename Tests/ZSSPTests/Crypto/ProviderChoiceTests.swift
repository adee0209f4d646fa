// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP
import ZSSPProviders

@Suite("The choice of a provider")
struct ProviderChoiceTests {
  @Test("what the build has can be made, and the rest says which trait is missing", arguments: ProviderChoice.allCases)
  func choices(_ choice: ProviderChoice) throws {
    // FIPS depends on the machine.
    guard choice != .openSSLFIPS else { return }
    guard choice == .fastest || ProviderChoice.built.contains(choice) else {
      let error = #expect(throws: ProviderUnavailable.self) { try choice.makeProvider() }
      #expect(error?.choice == choice && error?.reason.contains("--traits default,") == true)
      return
    }
    #expect(try !choice.makeProvider().name.isEmpty)
  }

  @Test("traits decide what the build has")
  func built() {
    var expected: Set<ProviderChoice> = [.swiftCrypto]
    #if OpenSSL
      expected.insert(.openSSL)
    #endif
    #if IPsecMB && os(Linux) && arch(x86_64)
      expected.insert(.ipsecMB)
    #endif
    #expect(Set(ProviderChoice.built) == expected)
  }

  @Test("the fastest is the one with the most packets per second")
  func fastest() throws {
    let order: [ProviderChoice] = [.ipsecMB, .openSSL, .swiftCrypto]
    let best = try #require(order.first(where: ProviderChoice.built.contains))
    let name = try best.makeProvider().name
    #expect(try ProviderChoice.fastest.makeProvider().name == name)
    #expect((.fastest as any CryptoProvider).name == name)
  }

  @Test("a build without OpenSSL says so when FIPS is asked for")
  func fips() {
    #if !OpenSSL
      let error = #expect(throws: ProviderUnavailable.self) { try ProviderChoice.openSSLFIPS.makeProvider() }
      #expect(error?.description.contains("openssl-fips") == true && error?.reason.contains("OpenSSL") == true)
    #endif
  }
}
