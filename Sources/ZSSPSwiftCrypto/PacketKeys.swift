// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import ZSSP

/// AES-256-GCM under one key (section 1: AEAD).
///
/// swift-crypto expands the key again for each packet, and returns its results in buffers of its
/// own. This type avoids other costs: it allocates nothing, and without additional data it uses the
/// faster call without them.
final class GCMPacketKey: PacketKey {
  private let key: SymmetricKey

  init(_ key: Secret) { self.key = SymmetricKey(copying: key.bytes) }

  func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
    seal(plaintext, nonce: nonce.bytes, authenticating: authenticating, into: &output)
  }

  func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
    open(&message, nonce: nonce.bytes, authenticating: authenticating)
  }

  /// Seals with any nonce of 12 bytes, including one that section 4 does not allow.
  func seal(
    _ plaintext: RawSpan, nonce: InlineArray<12, UInt8>, authenticating: RawSpan, into output: inout MutableRawSpan
  ) {
    let box = nonce.span.bytes.withUnsafeBytes { nonce in
      plaintext.withUnsafeBytes { plaintext in
        authenticating.withUnsafeBytes { additional in
          try? additional.isEmpty
            ? AES.GCM.seal(plaintext, using: key, nonce: AES.GCM.Nonce(data: nonce))
            : AES.GCM.seal(plaintext, using: key, nonce: AES.GCM.Nonce(data: nonce), authenticating: additional)
        }
      }
    }
    // Sealing fails only for a key or a nonce of the wrong size, and `combined` is not nil for a
    // nonce of 12 bytes.
    box?.combined?.withUnsafeBytes {
      output.write(RawSpan(_unsafeBytes: $0).extracting(droppingFirst: Nonce.size), at: 0)
    }
  }

  /// Opens with any nonce of 12 bytes, including one that section 4 does not allow.
  func open(_ message: inout MutableRawSpan, nonce: InlineArray<12, UInt8>, authenticating: RawSpan) -> Bool {
    // The cheapest way to make a sealed box is from nonce, ciphertext and tag in one buffer.
    let size = Nonce.size + message.byteCount
    let plaintext = withUnsafeTemporaryAllocation(byteCount: size, alignment: 16) { memory in
      var combined = MutableRawSpan(_unsafeBytes: memory)
      combined.write(nonce.span.bytes, at: 0)
      combined.write(message.bytes, at: Nonce.size)
      return authenticating.withUnsafeBytes { additional in
        let box = try? AES.GCM.SealedBox(combined: UnsafeRawBufferPointer(memory))
        return box.flatMap {
          try? additional.isEmpty
            ? AES.GCM.open($0, using: key)
            : AES.GCM.open($0, using: key, authenticating: additional)
        }
      }
    }
    guard let plaintext else { return false }
    plaintext.withUnsafeBytes { message.write(RawSpan(_unsafeBytes: $0), at: 0) }
    return true
  }
}

/// AES-256 on single blocks under one key (section 1: PRP).
final class BlockHeaderKey: HeaderKey {
  private let key: SymmetricKey
  /// swift-crypto is three times as fast with an array as with a pointer to the block.
  private var scratch = [UInt8](repeating: 0, count: 16)

  init(_ key: Secret) { self.key = SymmetricKey(copying: key.bytes) }

  func encrypt(_ block: inout MutableRawSpan) {
    scratch.withMutableBytes { $0.write(block.bytes, at: 0) }
    // It fails only for a key or a block of the wrong size; these have 32 and 16 bytes.
    try? AES.permute(&scratch, key: key)
    scratch.withUnsafeBytes { block.write(RawSpan(_unsafeBytes: $0), at: 0) }
  }

  func decrypt(_ block: inout MutableRawSpan) {
    scratch.withMutableBytes { $0.write(block.bytes, at: 0) }
    try? AES.inversePermute(&scratch, key: key)
    scratch.withUnsafeBytes { block.write(RawSpan(_unsafeBytes: $0), at: 0) }
  }
}
