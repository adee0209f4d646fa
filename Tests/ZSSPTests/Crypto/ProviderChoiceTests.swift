// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPProviders

#if CryptoMB
  import ZSSPCryptoMB
#endif
#if OpenSSL
  import ZSSPOpenSSL
#endif

@Suite("The choice of a provider", .tags(.fast))
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
    do throws(ProviderUnavailable) {
      #expect(try !choice.makeProvider().name.isEmpty)
    } catch {
      #expect([.openSSL, .cryptoMB].contains(choice) && error.isMissingHere, "\(error)")
    }
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
    #if CryptoMB && os(Linux) && arch(x86_64)
      expected.insert(.cryptoMB)
    #endif
    #expect(Set(ProviderChoice.built) == expected)
  }

  @Test("the fastest is the one with the most packets per second")
  func fastest() throws {
    let order: [ProviderChoice] = [.cryptoMB, .ipsecMB, .openSSL, .swiftCrypto]
    let usable = order.filter { (try? $0.makeProvider()) != nil }
    let name = try #require(usable.first).makeProvider().name
    let fastest = try ProviderChoice.fastest.makeProvider().name
    #expect(fastest.hasPrefix(name))
    #expect((.fastest as any CryptoProvider).name == fastest)
  }

  /// The provider that single P-384 operations come from.
  private func singleOperations(of provider: any CryptoProvider) -> any CryptoProvider {
    #if CryptoMB && os(Linux) && arch(x86_64)
      if let cryptoMB = provider as? CryptoMBProvider {
        #expect(cryptoMB.batches != nil && FastestProvider().batches != nil)
        return cryptoMB.base
      }
    #endif
    return provider
  }

  /// The P-384 of libcrypto before 3.5 takes twice as long as that of swift-crypto.
  @Test("the fastest takes handshakes from where they are fast")
  func handshakesOfTheFastest() throws {
    let fastest = try singleOperations(of: ProviderChoice.fastest.makeProvider())
    let key = fastest.generateAgreementKey()
    let ofSwiftCrypto = try ProviderChoice.swiftCrypto.makeProvider().generateAgreementKey()
    #if OpenSSL
      if let openSSL = try? OpenSSLProvider(), openSSL.hasOwnEncapsulation {
        #expect(type(of: key) == type(of: openSSL.generateAgreementKey()))
        return
      }
    #endif
    #expect(type(of: key) == type(of: ofSwiftCrypto))
  }

  @Test("the fastest passes its self test")
  func selfTest() throws { try ProviderChoice.fastest.makeProvider().selfTest() }

  @Test("a build without OpenSSL says so when FIPS is asked for")
  func fips() {
    #if !OpenSSL
      let error = #expect(throws: ProviderUnavailable.self) { try ProviderChoice.openSSLFIPS.makeProvider() }
      #expect(error?.description.contains("openssl-fips") == true && error?.reason.contains("OpenSSL") == true)
    #endif
  }
}
