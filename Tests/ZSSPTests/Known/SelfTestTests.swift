// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSPProviders

@testable import ZSSP

@Suite("Self tests of providers", .tags(.fast))
struct SelfTestTests {
  /// The functions that the common test covers. The other two are a provider's own.
  static let common = SelfTestFunction.allCases.filter { $0 != .shake256 && $0 != .decapsulation }

  @Test("every provider passes", arguments: providers)
  func passes(_ provider: any CryptoProvider) throws { try provider.selfTest() }

  @Test("a fault in any function is found, and named", arguments: providers, common)
  func broken(_ provider: any CryptoProvider, _ function: SelfTestFunction) throws {
    let broken = BrokenProvider(base: provider, broken: function)
    let failure = #expect(throws: SelfTestFailure.self) { try broken.selfTest() }
    #expect(failure == SelfTestFailure(provider: provider.name, function: function))
    #expect(failure?.description.contains(function.rawValue) == true)
  }

  @Test("a wrong SHAKE256 is found")
  func shake() {
    #expect(!SelfTest.isSHAKE256 { _, _, count in .zeros(count) })
    #expect(
      !SelfTest.isSHAKE256 { first, second, count in
        [UInt8](PlainKeccak.shake256(second.array + first.array, count: count)).secret
      })
    #expect(
      SelfTest.isSHAKE256 { first, second, count in
        PlainKeccak.shake256(first.array + second.array, count: count).secret
      })
  }

  @Test("a wrong decapsulation is found", arguments: providers)
  func decapsulation(_ provider: any CryptoProvider) throws {
    let seeded = { (seed: RawSpan, algorithm: ZSSP.KEM) in
      (try? provider.decapsulationKey(seed: seed.array, for: algorithm)).flatMap { $0 }
    }
    guard try provider.decapsulationKey(seed: [UInt8](repeating: 1, count: 64), for: .mlkem1024) != nil else { return }
    #expect(SelfTest.decapsulates(provider, makeKey: seeded))
    #expect(!SelfTest.decapsulates(provider) { _, _ in nil })
    // Another seed, the other algorithm's secret, a secret with a changed bit.
    #expect(!SelfTest.decapsulates(provider) { seed, algorithm in seeded(seed.extracting(0..<63), algorithm) })
    #expect(!SelfTest.decapsulates(provider) { seed, _ in seeded(seed, .kyber1024) })
    #expect(
      !SelfTest.decapsulates(provider) { seed, algorithm in seeded(seed, algorithm).map(ChangedDecapsulationKey.init) })
  }

  @Test("a provider that fails is not given out")
  func refused() throws {
    let provider = try ProviderChoice.fastest.makeProvider()
    #expect(try ProviderChoice.tested(provider, as: .openSSLFIPS).name == provider.name)
    let error = #expect(throws: ProviderUnavailable.self) {
      try ProviderChoice.tested(BrokenProvider(base: provider, broken: .gcmOpen), as: .openSSLFIPS)
    }
    #expect(error?.choice == .openSSLFIPS && error?.failure?.function == .gcmOpen)
    #expect(error?.reason.contains(SelfTestFunction.gcmOpen.rawValue) == true)
  }
}
