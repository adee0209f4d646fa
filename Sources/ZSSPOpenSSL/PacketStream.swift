// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL
  import ZSSP

  /// Packets under one key, one after another, each in pieces, in a copy of the key's context.
  final class GCMPacketStream: PacketStream {
    private let context: OpaquePointer

    init(_ key: GCMPacketKey) {
      context = require(zssp_EVP_CIPHER_CTX_new(), "EVP_CIPHER_CTX_new")
      require(zssp_EVP_CIPHER_CTX_copy(context, key.context), "EVP_CIPHER_CTX_copy")
    }

    deinit { zssp_EVP_CIPHER_CTX_free(context) }

    func begin(_ direction: PacketDirection, nonce: Nonce) {
      let bytes = nonce.bytes
      bytes.span.withUnsafeBufferPointer {
        require(
          zssp_EVP_CipherInit_ex2(context, nil, nil, $0.baseAddress, direction == .sealing ? 1 : 0, nil),
          "EVP_CipherInit_ex2")
      }
    }

    func update(_ input: RawSpan, into output: inout MutableRawSpan) {
      // C code writes to the output, so its size is checked here instead of by a span.
      precondition(output.byteCount == input.byteCount, "the output is as long as the input")
      output.withBytes { output in input.withBytes { update($0, output: output, size: input.byteCount) } }
    }

    func update(_ bytes: inout MutableRawSpan) {
      let size = bytes.byteCount
      bytes.withBytes { update($0, output: $0, size: size) }
    }

    private func update(_ input: UnsafePointer<UInt8>?, output: UnsafeMutablePointer<UInt8>?, size: Int) {
      guard size > 0 else { return }
      var written: Int32 = 0
      require(zssp_EVP_CipherUpdate(context, output, &written, input, Int32(size)), "EVP_CipherUpdate")
    }

    func finish(writingTagTo tag: inout MutableRawSpan) {
      precondition(tag.byteCount == 16, "a tag has 16 bytes")
      var written: Int32 = 0
      tag.withBytes { tag in
        // Nothing is left to encrypt, so nothing is written through the pointer.
        require(zssp_EVP_EncryptFinal_ex(context, tag, &written), "EVP_EncryptFinal_ex")
        require(zssp_EVP_CIPHER_CTX_ctrl(context, ZSSP_GET_TAG, 16, tag), "EVP_CTRL_AEAD_GET_TAG")
      }
    }

    func finish(expecting tag: RawSpan) -> Bool {
      guard tag.byteCount == 16 else { return false }
      var copy = InlineArray<16, UInt8>(repeating: 0)
      var elements = copy.mutableSpan
      var bytes = elements.mutableBytes
      bytes.write(tag, at: 0)
      var written: Int32 = 0
      return bytes.withBytes { tag in
        require(zssp_EVP_CIPHER_CTX_ctrl(context, ZSSP_SET_TAG, 16, tag), "EVP_CTRL_AEAD_SET_TAG")
        // Compares the tags in constant time. Nothing is left to decrypt, so nothing is written
        // through the pointer.
        return zssp_EVP_DecryptFinal_ex(context, tag, &written) > 0
      }
    }
  }
#endif
