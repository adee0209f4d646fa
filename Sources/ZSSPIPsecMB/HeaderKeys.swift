// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB
  import ZSSP

  /// AES-256 on single blocks under one key (section 1: PRP), expanded once for both directions.
  /// Several blocks are processed in parallel.
  final class BlockHeaderKey: HeaderKey {
    private let address = KeyPool.headerKeys.take()

    init(_ secret: Secret, manager: Manager) {
      precondition(secret.count == 32, "a header key has 32 bytes")
      secret.bytes.withUnsafeBytes { zssp_mb_expand_header_key(manager.pointer, address, $0.baseAddress) }
    }

    deinit { KeyPool.headerKeys.giveBack(address) }

    func encrypt(_ block: inout MutableRawSpan) {
      precondition(block.byteCount == 16, "a block has 16 bytes")
      block.withUnsafeMutableBytes { zssp_mb_encrypt_block(address, $0.baseAddress) }
    }

    func decrypt(_ block: inout MutableRawSpan) {
      precondition(block.byteCount == 16, "a block has 16 bytes")
      block.withUnsafeMutableBytes { zssp_mb_decrypt_block(address, $0.baseAddress) }
    }

    func encrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int) {
      guard Self.fits(bytes, stride: stride, count: count) else { return }
      bytes.withUnsafeMutableBytes { zssp_mb_encrypt_blocks(address, $0.baseAddress, stride, count) }
    }

    func decrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int) {
      guard Self.fits(bytes, stride: stride, count: count) else { return }
      bytes.withUnsafeMutableBytes { zssp_mb_decrypt_blocks(address, $0.baseAddress, stride, count) }
    }

    func prefetch() { zssp_mb_prefetch_header_key(address) }

    /// Returns true if there is a block to process. C code writes to the bytes, so the ranges are
    /// checked here instead of by a span.
    private static func fits(_ bytes: borrowing MutableRawSpan, stride: Int, count: Int) -> Bool {
      guard count > 0 else { return false }
      precondition(
        bytes.byteCount >= 16 && stride >= 16 && (bytes.byteCount - 16) / stride >= count - 1,
        "the blocks lie in the bytes, and not in each other")
      return true
    }
  }
#endif
