// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL
  import ZSSP

  /// AES-256-GCM under one key (section 1: AEAD), in one context that has expanded the key once.
  ///
  /// A packet only sets the nonce, and causes no allocation. One context serves both directions,
  /// because GCM expands its key in the same way for both. libcrypto wipes it.
  final class GCMPacketKey: PacketKey {
    let context: OpaquePointer

    init(_ key: Secret, cipher: OpaquePointer) {
      precondition(key.count == 32, "a packet key has 32 bytes")
      context = require(zssp_EVP_CIPHER_CTX_new(), "EVP_CIPHER_CTX_new")
      key.bytes.withBytes { require(zssp_EVP_EncryptInit_ex2(context, cipher, $0, nil, nil), "EVP_EncryptInit_ex2") }
    }

    deinit { zssp_EVP_CIPHER_CTX_free(context) }

    func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
      let size = plaintext.byteCount
      // C code writes to the output, so its size is checked here instead of by a span.
      precondition(output.byteCount == size + 16, "the output is 16 bytes longer than the plaintext")
      var written: Int32 = 0
      start(nonce, encrypting: 1)
      authenticate(authenticating)
      output.withBytes { output in
        guard let output else { return }
        plaintext.withBytes {
          guard size > 0 else { return }
          require(zssp_EVP_EncryptUpdate(context, output, &written, $0, Int32(size)), "EVP_EncryptUpdate")
        }
        require(zssp_EVP_EncryptFinal_ex(context, output + size, &written), "EVP_EncryptFinal_ex")
        require(zssp_EVP_CIPHER_CTX_ctrl(context, ZSSP_GET_TAG, 16, output + size), "EVP_CTRL_AEAD_GET_TAG")
      }
    }

    func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
      // libcrypto's sizes have 32 bits.
      guard message.byteCount >= 16, message.byteCount <= Int32.max else { return false }
      let size = message.byteCount - 16
      var written: Int32 = 0
      start(nonce, encrypting: 0)
      authenticate(authenticating)
      return message.withBytes { message in
        guard let message else { return false }
        if size > 0 {
          require(zssp_EVP_DecryptUpdate(context, message, &written, message, Int32(size)), "EVP_DecryptUpdate")
        }
        require(zssp_EVP_CIPHER_CTX_ctrl(context, ZSSP_SET_TAG, 16, message + size), "EVP_CTRL_AEAD_SET_TAG")
        // Compares the tags in constant time. No plaintext is left, so nothing is written through
        // the pointer.
        return zssp_EVP_DecryptFinal_ex(context, message + size, &written) > 0
      }
    }

    private func start(_ nonce: Nonce, encrypting: Int32) {
      let bytes = nonce.bytes
      bytes.span.withUnsafeBufferPointer {
        require(zssp_EVP_CipherInit_ex2(context, nil, nil, $0.baseAddress, encrypting, nil), "EVP_CipherInit_ex2")
      }
    }

    private func authenticate(_ data: RawSpan) {
      guard !data.isEmpty else { return }
      var written: Int32 = 0
      data.withBytes {
        require(zssp_EVP_CipherUpdate(context, nil, &written, $0, Int32(data.byteCount)), "EVP_CipherUpdate")
      }
    }

    func makeStream() -> (any PacketStream)? { GCMPacketStream(self) }
  }
#endif
