// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #else
    import Darwin
  #endif

  /// A separate library context, and the algorithms fetched from it.
  ///
  /// The process's default context stays as the application left it: its configuration does not
  /// affect this one, and modules loaded here do not affect others. There are at most two such
  /// contexts in a process, and they are never freed.
  final class Library: @unchecked Sendable {
    // All fields are set once. libcrypto lets threads share a library context and what was fetched
    // from it.
    let context: OpaquePointer
    let isFIPS: Bool
    let sha512: OpaquePointer
    let sha3: OpaquePointer
    let shake256: OpaquePointer
    let gcm: OpaquePointer
    let ecb: OpaquePointer
    let curve: Curve
    /// HMAC-SHA-512 without a key, to be copied: looking up the digest by name costs more than
    /// hashing a block.
    let hmac: OpaquePointer
    /// True if libcrypto has ML-KEM-1024, as OpenSSL 3.5 and later do.
    let hasMLKEM: Bool
    let hashContexts: ThreadContexts

    /// libcrypto with its built-in algorithms.
    static let standard = Result { () throws(OpenSSLError) in try Library(isFIPS: false) }
    /// libcrypto with only the FIPS module.
    static let fips = Result { () throws(OpenSSLError) in try Library(isFIPS: true) }

    private init(isFIPS: Bool) throws(OpenSSLError) {
      if let reason = zssp_load_libcrypto() { throw .libraryMissing(reason: String(cString: reason)) }
      zssp_ERR_set_mark()
      defer { zssp_ERR_pop_to_mark() }
      guard let context = zssp_OSSL_LIB_CTX_new() else { throw .notInitialized(reason: ErrorQueue.reason()) }
      self.context = context
      self.isFIPS = isFIPS
      if isFIPS {
        try Self.loadFIPSModule(into: context)
      } else if zssp_OSSL_PROVIDER_load(context, "default") == nil {
        throw .notInitialized(reason: ErrorQueue.reason())
      }
      sha512 = try Self.need("SHA-512", from: zssp_EVP_MD_fetch(context, "SHA2-512", nil))
      sha3 = try Self.need("SHA3-256", from: zssp_EVP_MD_fetch(context, "SHA3-256", nil))
      shake256 = try Self.need("SHAKE256", from: zssp_EVP_MD_fetch(context, "SHAKE-256", nil))
      gcm = try Self.need("AES-256-GCM", from: zssp_EVP_CIPHER_fetch(context, "AES-256-GCM", nil))
      ecb = try Self.need("AES-256-ECB", from: zssp_EVP_CIPHER_fetch(context, "AES-256-ECB", nil))
      hmac = try Self.need("HMAC-SHA-512", from: HMACAuthenticator.template(context))
      curve = try Self.need("P-384", from: Curve(context))
      // The fetched KEM is not kept, because keys find it again by its name.
      let kem = zssp_EVP_KEM_fetch(context, "ML-KEM-1024", nil)
      zssp_EVP_KEM_free(kem)
      hasMLKEM = kem != nil
      hashContexts = ThreadContexts(for: sha512)
    }

    /// Loads the FIPS module. Everything that is fetched afterwards comes from the module or fails.
    private static func loadFIPSModule(into context: OpaquePointer) throws(OpenSSLError) {
      let file = zssp_CONF_get1_default_config_file()
      defer { zssp_CRYPTO_free(file, #fileID, Int32(#line)) }
      // The module starts only with its checksum, which comes from a configuration file. If the
      // file is missing, the module has no checksum and reports that.
      let isConfigured = file.map { zssp_OSSL_LIB_CTX_load_config(context, $0) == 1 } ?? false
      if zssp_OSSL_PROVIDER_load(context, "fips") == nil || zssp_EVP_default_properties_enable_fips(context, 1) != 1 {
        throw .fipsModuleMissing(
          reason: ErrorQueue.reason() + (isConfigured ? "" : " (and the configuration cannot be read)"),
          modules: environment("OPENSSL_MODULES") ?? text(zssp_OPENSSL_info(ZSSP_FOLDER_OF_MODULES)),
          configuration: text(file))
      }
    }

    private static func need<Value>(_ name: String, from value: Value?) throws(OpenSSLError) -> Value {
      guard let value else { throw .algorithmMissing(name) }
      return value
    }

    private static func environment(_ name: String) -> String? {
      getenv(name).map { String(cString: $0) }
    }

    private static func text(_ string: UnsafePointer<CChar>?) -> String { string.map { String(cString: $0) } ?? "?" }
  }
#endif
