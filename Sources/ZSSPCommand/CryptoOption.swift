// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import ZSSP
public import ZSSPProviders

/// The option that selects the crypto provider.
struct CryptoOption: ParsableArguments {
  @Option(help: "Use this crypto provider: swift-crypto, openssl, openssl-fips, ipsec-mb, crypto-mb or fastest.")
  var crypto = ProviderChoice.fastest

  /// Makes the provider.
  ///
  /// - Throws: ``CommandFailure/usage(_:)`` if it is unavailable.
  func provider() throws(CommandFailure) -> any CryptoProvider {
    do { return try crypto.makeProvider() } catch { throw .usage("--crypto \(crypto.rawValue): \(error.reason)") }
  }
}

extension ProviderChoice: ExpressibleByArgument {}
