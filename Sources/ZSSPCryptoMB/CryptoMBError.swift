// SPDX-License-Identifier: Apache-2.0
#if CryptoMB && os(Linux) && arch(x86_64)
  public import ZSSP

  /// The reason why `crypto_mb` cannot be used.
  public enum CryptoMBError: Error, Equatable, CustomStringConvertible {
    /// `libcrypto_mb.so.13` is missing, or lacks a function.
    ///
    /// - Parameter reason: The message of the system's loader.
    case libraryMissing(reason: String)
    /// The processor lacks instructions that the library needs.
    ///
    /// - Parameter reason: The instructions.
    case processorLacksInstructions(reason: String)
    /// The library gives other answers than the known ones.
    case selfTestFailed(SelfTestFailure)
    /// The library uses more of the stack than is wiped after its functions.
    ///
    /// - Parameter version: The library and its version.
    case stackTooLarge(version: String)

    /// The missing part, and how to provide it.
    public var description: String {
      switch self {
      case .libraryMissing(let reason):
        "\(reason). It is part of Intel's Cryptography Primitives Library; Scripts/crypto-mb makes it from the package "
          + "ipp-crypto-static of PyPI"
      case .processorLacksInstructions(let reason): reason
      case .selfTestFailed(let failure): failure.description
      case .stackTooLarge(let version):
        "\(version) uses more of the stack than is wiped; use the release that Scripts/crypto-mb makes"
      }
    }

    /// True if the machine lacks something, and the library is not at fault.
    package var isMissingHere: Bool {
      switch self {
      case .libraryMissing, .processorLacksInstructions: true
      case .selfTestFailed, .stackTooLarge: false
      }
    }
  }
#endif
