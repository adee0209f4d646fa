// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL
  import ZSSP

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #else
    import Darwin
  #endif

  /// A digest context for each thread that hashes, made for its first hash and freed when the
  /// thread ends.
  ///
  /// Making a context costs more than hashing a block, and proof of work hashes thousands of
  /// blocks.
  struct ThreadContexts: Sendable {
    private let key: pthread_key_t
    private nonisolated(unsafe) let digest: OpaquePointer

    /// Creates the contexts for the fetched `digest`. A process has only 1024 keys for thread-local
    /// data, so create few.
    init(for digest: OpaquePointer) {
      var key = pthread_key_t()
      let error = pthread_key_create(&key) { context in
        #if canImport(Darwin)
          zssp_EVP_MD_CTX_free(OpaquePointer(context))
        #else
          if let context { zssp_EVP_MD_CTX_free(OpaquePointer(context)) }
        #endif
      }
      guard error == 0 else { fatalError("no key for thread-local data is left: error \(error)") }
      self.key = key
      self.digest = digest
    }

    /// The context of this thread.
    var current: OpaquePointer {
      if let context = pthread_getspecific(key) { return OpaquePointer(context) }
      let context = require(zssp_EVP_MD_CTX_new(), "EVP_MD_CTX_new")
      require(zssp_EVP_DigestInit_ex2(context, digest, nil), "EVP_DigestInit_ex2")
      guard pthread_setspecific(key, UnsafeMutableRawPointer(context)) == 0 else {
        fatalError("no memory for thread-local data")
      }
      return context
    }

    /// Writes the digest of `first || second` to `output`.
    func hash(_ first: RawSpan, appending second: RawSpan, into output: inout MutableRawSpan) {
      let context = current
      // Without a digest, this restarts the one that the context has.
      require(zssp_EVP_DigestInit_ex2(context, nil, nil), "EVP_DigestInit_ex2")
      first.withUnsafeBytes { require(zssp_EVP_DigestUpdate(context, $0.baseAddress, $0.count), "EVP_DigestUpdate") }
      second.withUnsafeBytes { require(zssp_EVP_DigestUpdate(context, $0.baseAddress, $0.count), "EVP_DigestUpdate") }
      output.withBytes { require(zssp_EVP_DigestFinal_ex(context, $0, nil), "EVP_DigestFinal_ex") }
    }
  }

  /// HMAC-SHA-512 under one key (FIPS 198-1).
  ///
  /// The context is restarted for each message with the key that it has already absorbed. libcrypto
  /// wipes it.
  final class HMACAuthenticator: MessageAuthenticator {
    private let context: OpaquePointer

    init(key: RawSpan, template: OpaquePointer) {
      context = require(zssp_EVP_MAC_CTX_dup(template), "EVP_MAC_CTX_dup")
      // An empty key has no address, but passing no address would keep the previous key.
      let none: [UInt8] = [0]
      none.withUnsafeBytes { none in
        key.withUnsafeBytes { key in
          let bytes = (key.baseAddress ?? none.baseAddress)?.assumingMemoryBound(to: UInt8.self)
          require(zssp_EVP_MAC_init(context, bytes, key.count, nil), "EVP_MAC_init")
        }
      }
    }

    deinit { zssp_EVP_MAC_CTX_free(context) }

    func authenticationCode(for message: RawSpan) -> Secret {
      require(zssp_EVP_MAC_init(context, nil, 0, nil), "EVP_MAC_init")
      message.withBytes { require(zssp_EVP_MAC_update(context, $0, message.byteCount), "EVP_MAC_update") }
      return Secret(count: Digest.size) { output in
        var size = 0
        output.withBytes { require(zssp_EVP_MAC_final(context, $0, &size, Digest.size), "EVP_MAC_final") }
      }
    }

    /// Returns a context with the digest set and no key; nil if libcrypto has no such HMAC.
    static func template(_ library: OpaquePointer) -> OpaquePointer? {
      guard let algorithm = zssp_EVP_MAC_fetch(library, "HMAC", nil) else { return nil }
      defer { zssp_EVP_MAC_free(algorithm) }
      guard let context = zssp_EVP_MAC_CTX_new(algorithm) else { return nil }
      // The parameter is read, not written.
      let name: StaticString = "SHA2-512"
      let parameters = [
        zssp_OSSL_PARAM_construct_utf8_string(
          ("digest" as StaticString).cString, UnsafeMutablePointer(mutating: name.cString), 0),
        zssp_OSSL_PARAM_construct_end(),
      ]
      guard zssp_EVP_MAC_CTX_set_params(context, parameters) == 1 else {
        zssp_EVP_MAC_CTX_free(context)
        return nil
      }
      return context
    }
  }
#endif
