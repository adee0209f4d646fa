// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL
  import ZSSP

  // EVP_PKEY is libcrypto's type for the keys of every algorithm. It counts references, lets
  // threads share a key, and wipes private parts.

  /// The parts of a key, in libcrypto's form. The bytes must outlive the call that reads them.
  struct KeyParameters {
    private(set) var list: [zssp_parameter] = []

    /// Adds a text that is part of the program.
    mutating func add(_ name: StaticString, text: StaticString) {
      list.append(
        zssp_OSSL_PARAM_construct_utf8_string(
          name.cString, UnsafeMutablePointer(mutating: text.cString), text.utf8CodeUnitCount))
    }

    /// Adds bytes in the given order.
    mutating func add(_ name: StaticString, bytes: UnsafeRawBufferPointer) {
      list.append(
        zssp_OSSL_PARAM_construct_octet_string(
          name.cString, UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count))
    }

    /// Adds an integer, in the byte order of the machine.
    mutating func add(_ name: StaticString, integer: UnsafeRawBufferPointer) {
      list.append(
        zssp_OSSL_PARAM_construct_BN(
          name.cString, UnsafeMutablePointer(mutating: integer.baseAddress?.assumingMemoryBound(to: UInt8.self)),
          integer.count))
    }

    /// Returns the key of these parts; nil if libcrypto refuses it. The caller must free it.
    func makeKey(_ type: StaticString, hasPrivatePart: Bool, in context: OpaquePointer) -> OpaquePointer? {
      ErrorQueue.hidden {
        let maker = zssp_EVP_PKEY_CTX_new_from_name(context, type.cString, nil)
        defer { zssp_EVP_PKEY_CTX_free(maker) }
        guard let maker, zssp_EVP_PKEY_fromdata_init(maker) == 1 else { return nil }
        var key: OpaquePointer?
        // libcrypto only reads them, but its interface takes variables.
        var parameters = list + [zssp_OSSL_PARAM_construct_end()]
        let selection = hasPrivatePart ? ZSSP_KEY_PAIR : ZSSP_PUBLIC_KEY
        guard zssp_EVP_PKEY_fromdata(maker, &key, selection, &parameters) == 1 else { return nil }
        return key
      }
    }
  }

  /// Generates a key of `type`, of the group `group` if it has one. The caller must free it.
  func generateKey(_ type: StaticString, group: StaticString? = nil, in context: OpaquePointer) -> OpaquePointer {
    let maker = require(zssp_EVP_PKEY_CTX_new_from_name(context, type.cString, nil), "EVP_PKEY_CTX_new_from_name")
    defer { zssp_EVP_PKEY_CTX_free(maker) }
    require(zssp_EVP_PKEY_keygen_init(maker), "EVP_PKEY_keygen_init")
    if let group { require(zssp_EVP_PKEY_CTX_set_group_name(maker, group.cString), "EVP_PKEY_CTX_set_group_name") }
    var key: OpaquePointer?
    require(zssp_EVP_PKEY_generate(maker, &key), "EVP_PKEY_generate")
    return require(key, "EVP_PKEY_generate")
  }

  /// Returns the public part of `key`, which has at most `size` bytes.
  func publicBytes(of key: OpaquePointer, size: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: size) { bytes, count in
      require(
        zssp_EVP_PKEY_get_octet_string_param(key, ("pub" as StaticString).cString, bytes.baseAddress, size, &count),
        "EVP_PKEY_get_octet_string_param")
    }
  }

  /// Returns an operation with `key`. The caller must free it.
  func makeOperation(with key: OpaquePointer, in context: OpaquePointer) -> OpaquePointer {
    require(zssp_EVP_PKEY_CTX_new_from_pkey(context, key, nil), "EVP_PKEY_CTX_new_from_pkey")
  }
#endif
