// SPDX-License-Identifier: Apache-2.0
#if SwiftCrypto
  public import ZSSP
  import ZSSPSwiftCrypto

  /// The provider with the most packets per second, of those that this build has and this machine
  /// can run.
  ///
  /// It uses the keys of the chosen provider directly, so packets cost the same as with that
  /// provider.
  public struct FastestProvider: DerivedProvider, BatchingProvider {
    /// The chosen provider.
    public let base: any CryptoProvider

    /// Chooses the provider. Falls back to swift-crypto.
    public init() { base = (try? ProviderChoice.fastest.makeProvider()) ?? SwiftCryptoProvider() }

    /// The operations that the chosen provider can do at once.
    package var agreementBatches: (any AgreementBatches)? { base.batches }
  }

  extension CryptoProvider where Self == FastestProvider {
    /// The provider with the most packets per second, of those that this build has and this
    /// machine can run.
    public static var fastest: FastestProvider { FastestProvider() }
  }
#endif
