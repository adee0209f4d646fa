// SPDX-License-Identifier: Apache-2.0
#if SwiftCrypto
  public import ZSSP
  import ZSSPSwiftCrypto

  /// The provider that moves the most packets, of those that this build has and this machine can run:
  /// ``ProviderChoice/fastest``.
  ///
  /// Keys are those of the provider chosen, so nothing is added to the path of a packet.
  public struct FastestProvider: DerivedProvider {
    /// The one that was chosen.
    public let base: any CryptoProvider

    /// Chooses a provider.
    public init() { base = (try? ProviderChoice.fastest.makeProvider()) ?? SwiftCryptoProvider() }
  }

  extension CryptoProvider where Self == FastestProvider {
    /// The provider that moves the most packets, of those that this build has and this machine can run.
    public static var fastest: FastestProvider { FastestProvider() }
  }
#endif
