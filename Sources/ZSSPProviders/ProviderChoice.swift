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
#if CryptoMB
  import ZSSPCryptoMB
#endif

/// The providers of this package, by their names in commands and configuration files.
public enum ProviderChoice: String, Sendable, CaseIterable {
  /// swift-crypto, on every platform.
  case swiftCrypto = "swift-crypto"
  /// libcrypto of OpenSSL.
  case openSSL = "openssl"
  /// libcrypto of OpenSSL with only its FIPS module.
  case openSSLFIPS = "openssl-fips"
  /// intel-ipsec-mb for packets. For handshakes OpenSSL 3.5 or later, otherwise swift-crypto.
  case ipsecMB = "ipsec-mb"
  /// crypto_mb for the P-384 of several handshakes at once. Everything else comes from the fastest
  /// of the other providers.
  case cryptoMB = "crypto-mb"
  /// The provider with the most packets per second, of those that this build has and this machine
  /// can run: intel-ipsec-mb, then OpenSSL, then swift-crypto. Handshakes come from OpenSSL 3.5 or
  /// later, otherwise from swift-crypto; where crypto_mb is available, their P-384 comes from it.
  case fastest

  /// The providers that this build has, by its package traits. The machine may lack what one of
  /// them needs: libcrypto, crypto_mb, or the processor's instructions. FIPS is not among them,
  /// because its module is not part of a build.
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
    #if CryptoMB && os(Linux) && arch(x86_64)
      built.append(.cryptoMB)
    #endif
    return built
  }()

  /// Creates the provider of this name.
  ///
  /// A FIPS provider has passed its self test: a module in FIPS mode tests itself before it is
  /// used, and so do the parts outside the module.
  ///
  /// - Throws: ``ProviderUnavailable`` if this build does not have it, this machine cannot run it,
  ///   or its self test failed.
  public func makeProvider() throws(ProviderUnavailable) -> any CryptoProvider {
    switch self {
    case .swiftCrypto: try Self.swiftCryptoProvider()
    case .openSSL: try Self.openSSLProvider(fips: false)
    case .openSSLFIPS: try Self.tested(Self.openSSLProvider(fips: true), as: .openSSLFIPS)
    case .ipsecMB: try Self.ipsecMBProvider()
    case .cryptoMB: try Self.cryptoMBProvider()
    case .fastest: if let provider = try? Self.cryptoMBProvider() { provider } else { try Self.fastestPacketProvider() }
    }
  }

  /// Returns the provider, if it passes its self test.
  package static func tested(
    _ provider: any CryptoProvider, as choice: ProviderChoice
  ) throws(ProviderUnavailable) -> any CryptoProvider {
    do { try provider.selfTest() } catch {
      throw ProviderUnavailable(choice, reason: error.description, failure: error)
    }
    return provider
  }

  private static func swiftCryptoProvider() throws(ProviderUnavailable) -> any CryptoProvider {
    #if SwiftCrypto
      return SwiftCryptoProvider()
    #else
      throw ProviderUnavailable(.swiftCrypto, reason: "this build is without the package trait SwiftCrypto")
    #endif
  }

  private static func openSSLProvider(fips: Bool) throws(ProviderUnavailable) -> any CryptoProvider {
    #if OpenSSL
      do {
        return try OpenSSLProvider(fips: fips)
      } catch {
        let isMissing = if case .libraryMissing = error { true } else { false }
        throw ProviderUnavailable(
          fips ? .openSSLFIPS : .openSSL, reason: error.description, isMissingHere: isMissing)
      }
    #else
      throw ProviderUnavailable(
        fips ? .openSSLFIPS : .openSSL,
        reason: "this build is without the package trait OpenSSL (--traits default,OpenSSL)")
    #endif
  }

  private static func ipsecMBProvider() throws(ProviderUnavailable) -> any CryptoProvider {
    #if IPsecMB && os(Linux) && arch(x86_64)
      let handshakes = try handshakeProvider()
      do {
        return try IPsecMBProvider(handshakes: handshakes)
      } catch {
        throw ProviderUnavailable(.ipsecMB, reason: error.description)
      }
    #elseif IPsecMB
      throw ProviderUnavailable(.ipsecMB, reason: "it is there on Linux on x86-64 only")
    #else
      throw ProviderUnavailable(
        .ipsecMB, reason: "this build is without the package trait IPsecMB (--traits default,IPsecMB)")
    #endif
  }

  private static func handshakeProvider() throws(ProviderUnavailable) -> any CryptoProvider {
    #if OpenSSL
      // OpenSSL 3.5, the first with ML-KEM, has a P-384 that is faster than swift-crypto's. Earlier
      // versions take twice as long.
      if let provider = try? OpenSSLProvider(), provider.hasOwnEncapsulation { return provider }
    #endif
    return try swiftCryptoProvider()
  }

  private static func cryptoMBProvider() throws(ProviderUnavailable) -> any CryptoProvider {
    #if CryptoMB && os(Linux) && arch(x86_64)
      let base = try fastestPacketProvider()
      do {
        return try CryptoMBProvider(base: base)
      } catch {
        let failure: SelfTestFailure? = if case .selfTestFailed(let failure) = error { failure } else { nil }
        throw ProviderUnavailable(
          .cryptoMB, reason: error.description, failure: failure, isMissingHere: error.isMissingHere)
      }
    #elseif CryptoMB
      throw ProviderUnavailable(.cryptoMB, reason: "it is available on Linux on x86-64 only")
    #else
      throw ProviderUnavailable(
        .cryptoMB, reason: "this build is without the package trait CryptoMB (--traits default,CryptoMB)")
    #endif
  }

  private static func fastestPacketProvider() throws(ProviderUnavailable) -> any CryptoProvider {
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

/// The error of a provider that this build does not have or this machine cannot run.
public struct ProviderUnavailable: Error, Equatable, CustomStringConvertible {
  /// The requested provider.
  public let choice: ProviderChoice
  /// The reason, and what to do.
  public let reason: String

  /// The failed self test, if the provider exists and did not pass it.
  public let failure: SelfTestFailure?
  /// True if the build has the provider, and the machine lacks its library, or instructions that
  /// many processors do not have.
  package let isMissingHere: Bool

  init(_ choice: ProviderChoice, reason: String, failure: SelfTestFailure? = nil, isMissingHere: Bool = false) {
    self.choice = choice
    self.reason = reason
    self.failure = failure
    self.isMissingHere = isMissingHere
  }

  /// Both in one sentence, for people.
  public var description: String { "no crypto provider \(choice.rawValue): \(reason)" }
}
