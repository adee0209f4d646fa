// SPDX-License-Identifier: Apache-2.0
#if OpenSSL
  import CZSSPOpenSSL
  import ZSSP

  /// AES-256 on single blocks under one key (section 1: PRP).
  ///
  /// AES expands its key differently for decryption, so there is a context for each direction. An
  /// endpoint uses a key in one direction only, so the other context is never made.
  final class BlockHeaderKey: HeaderKey {
    private let key: Secret
    private nonisolated(unsafe) let cipher: OpaquePointer
    private var encryptor: OpaquePointer?
    private var decryptor: OpaquePointer?

    init(_ key: Secret, cipher: OpaquePointer) {
      precondition(key.count == 32, "a header key has 32 bytes")
      self.key = key
      self.cipher = cipher
    }

    deinit {
      zssp_EVP_CIPHER_CTX_free(encryptor)
      zssp_EVP_CIPHER_CTX_free(decryptor)
    }

    func encrypt(_ block: inout MutableRawSpan) {
      if encryptor == nil { encryptor = makeContext(encrypting: 1) }
      run(encryptor, on: &block)
    }

    func decrypt(_ block: inout MutableRawSpan) {
      if decryptor == nil { decryptor = makeContext(encrypting: 0) }
      run(decryptor, on: &block)
    }

    func encrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int) {
      if encryptor == nil { encryptor = makeContext(encrypting: 1) }
      run(encryptor, on: &bytes, stride: stride, count: count)
    }

    func decrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int) {
      if decryptor == nil { decryptor = makeContext(encrypting: 0) }
      run(decryptor, on: &bytes, stride: stride, count: count)
    }

    private func makeContext(encrypting: Int32) -> OpaquePointer {
      let context = require(zssp_EVP_CIPHER_CTX_new(), "EVP_CIPHER_CTX_new")
      let key = key
      key.bytes.withBytes {
        require(zssp_EVP_CipherInit_ex2(context, cipher, $0, nil, encrypting, nil), "EVP_CipherInit_ex2")
      }
      // With padding, libcrypto would hold back the last block.
      require(zssp_EVP_CIPHER_CTX_set_padding(context, 0), "EVP_CIPHER_CTX_set_padding")
      return context
    }

    private func run(_ context: OpaquePointer?, on block: inout MutableRawSpan) {
      precondition(block.byteCount == 16, "a block has 16 bytes")
      var written: Int32 = 0
      block.withBytes { require(zssp_EVP_CipherUpdate(context, $0, &written, $0, 16), "EVP_CipherUpdate") }
    }

    /// The number of blocks that libcrypto gets at once. It is the most that the endpoint passes at
    /// once.
    private static let together = 64

    /// Processes blocks with a stride. They are copied together first, because one call costs more
    /// than many blocks.
    private func run(_ context: OpaquePointer?, on bytes: inout MutableRawSpan, stride: Int, count: Int) {
      var blocks = InlineArray<1024, UInt8>(repeating: 0)
      var done = 0
      while done < count {
        let size = min(Self.together, count - done)
        var elements = blocks.mutableSpan
        var gathered = elements.mutableBytes
        for index in 0..<size {
          let place = (done + index) * stride
          gathered.write(bytes.bytes.extracting(place..<place + 16), at: 16 * index)
        }
        var written: Int32 = 0
        gathered.withBytes {
          require(zssp_EVP_CipherUpdate(context, $0, &written, $0, Int32(16 * size)), "EVP_CipherUpdate")
        }
        for index in 0..<size {
          bytes.write(gathered.bytes.extracting(16 * index..<16 * index + 16), at: (done + index) * stride)
        }
        done += size
      }
    }
  }
#endif
