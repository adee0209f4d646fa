// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  /// The reason why OpenSSL cannot be used.
  public enum OpenSSLError: Error, Equatable, CustomStringConvertible {
    /// libcrypto of OpenSSL 3 is missing, or lacks a function.
    ///
    /// - Parameter reason: The message of the system's loader.
    case libraryMissing(reason: String)
    /// FIPS was requested, and the FIPS module of OpenSSL is missing or does not start.
    ///
    /// - Parameters:
    ///   - reason: libcrypto's message.
    ///   - modules: The folder that libcrypto loads `fips.so` from.
    ///   - configuration: The file that must name the module and its checksum.
    case fipsModuleMissing(reason: String, modules: String, configuration: String)
    /// libcrypto lacks an algorithm that ZSSP needs, or its FIPS module does.
    case algorithmMissing(String)
    /// libcrypto could not create a context: it is out of memory, or was built without its default
    /// provider.
    case notInitialized(reason: String)

    /// The missing part, and how to provide it.
    public var description: String {
      switch self {
      case .libraryMissing(let reason):
        "\(reason). It is in the package libssl3 (Debian), openssl-libs (Fedora) or openssl@3 (Homebrew)"
      case .fipsModuleMissing(let reason, let modules, let configuration):
        """
        the FIPS module of OpenSSL cannot be used: \(reason). libcrypto looks for fips.so in \(modules) (or where \
        OPENSSL_MODULES says), and for its checksum in \(configuration) (or where OPENSSL_CONF says): \
        'openssl fipsinstall' writes a section for the module, which the configuration has to include and to activate
        """
      case .algorithmMissing(let name):
        "this libcrypto has no \(name)"
      case .notInitialized(let reason):
        "libcrypto cannot be set up: \(reason)"
      }
    }
  }
#endif
