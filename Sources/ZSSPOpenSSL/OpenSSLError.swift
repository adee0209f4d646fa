// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  /// Why there is no OpenSSL provider.
  public enum OpenSSLError: Error, Equatable, CustomStringConvertible {
    /// There is no libcrypto of OpenSSL 3, or it lacks a function.
    ///
    /// - Parameter reason: What the system's loader says.
    case libraryMissing(reason: String)
    /// FIPS was asked for, and the FIPS module of OpenSSL is not there or does not start.
    ///
    /// - Parameters:
    ///   - reason: What libcrypto says.
    ///   - modules: The folder that libcrypto loads `fips.so` from.
    ///   - configuration: The file that has to name the module and its checksum.
    case fipsModuleMissing(reason: String, modules: String, configuration: String)
    /// A libcrypto 3 is there, but not an algorithm that ZSSP is made of, or not from the FIPS module.
    case algorithmMissing(String)
    /// libcrypto could not set up a context of its own: it is out of memory, or its built-in provider is left out.
    case notInitialized(reason: String)

    /// What is missing and how it is found, for people.
    public var description: String {
      switch self {
      case .libraryMissing(let reason):
        "\(reason); it is in Debian's package libssl3, and openssl-libs or openssl@3 elsewhere"
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
