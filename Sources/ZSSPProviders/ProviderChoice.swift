// SPDX-License-Identifier: Apache-2.0
public import ZSSP

#if SwiftCrypto
  import ZSSPSwiftCrypto
#endif
#if OpenSSL
  import ZSSPOpenSSL
#endif
#if IPsecMB
  import ZSSPIPsecMB
#endif

/// The providers of this package, by the names that people give them.
public enum ProviderChoice: String, Sendable, CaseIterable {
  /// swift-crypto, on every platform.
  case swiftCrypto = "swift-crypto"
  /// libcrypto of OpenSSL.
  case openSSL = "openssl"
  /// libcrypto of OpenSSL with its FIPS module and nothing else.
  case openSSLFIPS = "openssl-fips"
  /// intel-ipsec-mb for packets; for handshakes OpenSSL from 3.5 on, or else swift-crypto.
  case ipsecMB = "ipsec-mb"
  /// The one that moves the most packets, of those that the build has and the machine can run: intel-ipsec-mb, then OpenSSL,
  /// then swift-crypto. Handshakes come from OpenSSL from 3.5 on, or else from swift-crypto.
  case fastest

  /// The providers that this build has, by its package traits. The machine may be unable to run one of them: libcrypto is
  /// loaded, and intel-ipsec-mb needs a processor that has what it uses. FIPS is not among them: its module is not part of
  /// a build.
  public static let built: [ProviderChoice] = {
    var built: [ProviderChoice] = []
    #if SwiftCrypto
      built.append(.swiftCrypto)
    #endif
    #if OpenSSL
      built.append(.openSSL)
    #endif
    #if IPsecMB && os(Linux) && arch(x86_64)
      built.append(.ipsecMB)
    #endif
    return built
  }()

  /// The provider of this name.
  ///
  /// That of FIPS has passed its self test: a module in a FIPS mode tests itself before it is used, and so do the parts
  /// that are not of the module.
  ///
  /// - Throws: ``ProviderUnavailable`` if this build does not have it or this machine cannot run it, or if it failed.
  public func makeProvider() throws(ProviderUnavailable) -> any CryptoProvider {
    switch self {
    case .swiftCrypto: try Self.swiftCryptoProvider()
    case .openSSL: try Self.openSSLProvider(fips: false)
    case .openSSLFIPS: try Self.tested(Self.openSSLProvider(fips: true), .openSSLFIPS)
    case .ipsecMB: try Self.ipsecMBProvider()
    case .fastest: try Self.fastestProvider()
    }
  }

  /// The provider, if it passes its self test.
  package static func tested(
    _ provider: any CryptoProvider, _ choice: ProviderChoice
  ) throws(ProviderUnavailable) -> any CryptoProvider {
    do { try provider.selfTest() } catch {
      throw ProviderUnavailable(choice, error.description, failure: error)
    }
    return provider
  }

  private static func swiftCryptoProvider() throws(ProviderUnavailable) -> any CryptoProvider {
    #if SwiftCrypto
      return SwiftCryptoProvider()
    #else
      throw ProviderUnavailable(.swiftCrypto, "this build is without the package trait SwiftCrypto")
    #endif
  }

  private static func openSSLProvider(fips: Bool) throws(ProviderUnavailable) -> any CryptoProvider {
    #if OpenSSL
      do {
        return try OpenSSLProvider(fips: fips)
      } catch {
        let isMissing = if case .libraryMissing = error { true } else { false }
        throw ProviderUnavailable(fips ? .openSSLFIPS : .openSSL, error.description, isLibraryMissing: isMissing)
      }
    #else
      throw ProviderUnavailable(
        fips ? .openSSLFIPS : .openSSL, "this build is without the package trait OpenSSL (--traits default,OpenSSL)")
    #endif
  }

  private static func ipsecMBProvider() throws(ProviderUnavailable) -> any CryptoProvider {
    #if IPsecMB && os(Linux) && arch(x86_64)
      let handshakes = try handshakeProvider()
      do {
        return try IPsecMBProvider(handshakes: handshakes)
      } catch {
        throw ProviderUnavailable(.ipsecMB, error.description)
      }
    #elseif IPsecMB
      throw ProviderUnavailable(.ipsecMB, "it is there on Linux on x86-64 only")
    #else
      throw ProviderUnavailable(
        .ipsecMB, "this build is without the package trait IPsecMB (--traits default,IPsecMB)")
    #endif
  }

  private static func handshakeProvider() throws(ProviderUnavailable) -> any CryptoProvider {
    #if OpenSSL
      // With its ML-KEM, in 3.5, came a P-384 that is faster than swift-crypto's. Before, it takes twice as long.
      if let provider = try? OpenSSLProvider(), provider.hasOwnEncapsulation { return provider }
    #endif
    return try swiftCryptoProvider()
  }

  private static func fastestProvider() throws(ProviderUnavailable) -> any CryptoProvider {
    // In the order of their packets per second.
    if let provider = try? ipsecMBProvider() { return provider }
    #if OpenSSL
      if let packets = try? OpenSSLProvider() {
        let handshakes = try handshakeProvider()
        return handshakes is OpenSSLProvider ? packets : MixedProvider(packets: packets, handshakes: handshakes)
      }
    #endif
    return try swiftCryptoProvider()
  }
}

/// A provider that this build does not have or this machine cannot run.
public struct ProviderUnavailable: Error, Equatable, CustomStringConvertible {
  /// What was asked for.
  public let choice: ProviderChoice
  /// Why it is not there, and what would help.
  public let reason: String

  /// What failed, if it is there and did not pass its self test.
  public let failure: SelfTestFailure?
  /// Whether the build has the provider, and the machine lacks its library.
  package let isLibraryMissing: Bool

  init(
    _ choice: ProviderChoice, _ reason: String, failure: SelfTestFailure? = nil, isLibraryMissing: Bool = false
  ) {
    self.choice = choice
    self.reason = reason
    self.failure = failure
    self.isLibraryMissing = isLibraryMissing
  }

  /// Both in one sentence, for people.
  public var description: String { "no crypto provider \(choice.rawValue): \(reason)" }
}
