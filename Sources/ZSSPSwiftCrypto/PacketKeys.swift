// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import ZSSP

/// AES-256-GCM under one key (section 1: AEAD).
///
/// swift-crypto expands the key anew for each packet and returns its results in buffers of its own. What can be saved is
/// saved: nothing is allocated here, and without additional data the call without it is taken, which is quicker.
final class GCMPacketKey: PacketKey {
  private let key: SymmetricKey

  init(_ key: Secret) { self.key = SymmetricKey(copying: key.bytes) }

  func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
    seal(plaintext, nonce: nonce.bytes, authenticating: authenticating, into: &output)
  }

  func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
    open(&message, nonce: nonce.bytes, authenticating: authenticating)
  }

  /// Seals under any nonce of 12 bytes, also one that is not of section 4.
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
    // Sealing fails for a key or a nonce of the wrong size alone, and `combined` is there for any nonce of 12 bytes.
    box?.combined?.withUnsafeBytes {
      output.write(RawSpan(_unsafeBytes: $0).extracting(droppingFirst: Nonce.size), at: 0)
    }
  }

  /// Opens under any nonce of 12 bytes, also one that is not of section 4.
  func open(_ message: inout MutableRawSpan, nonce: InlineArray<12, UInt8>, authenticating: RawSpan) -> Bool {
    // A sealed box is cheapest to make of nonce, ciphertext and tag in one piece.
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
  /// swift-crypto is three times as quick with an array as with a pointer to where the block lies.
  private var scratch = [UInt8](repeating: 0, count: 16)

  init(_ key: Secret) { self.key = SymmetricKey(copying: key.bytes) }

  func encrypt(_ block: inout MutableRawSpan) {
    scratch.withMutableBytes { $0.write(block.bytes, at: 0) }
    // It fails for a key or a block of the wrong size alone; there are 32 and 16 bytes.
    try? AES.permute(&scratch, key: key)
    scratch.withUnsafeBytes { block.write(RawSpan(_unsafeBytes: $0), at: 0) }
  }

  func decrypt(_ block: inout MutableRawSpan) {
    scratch.withMutableBytes { $0.write(block.bytes, at: 0) }
    try? AES.inversePermute(&scratch, key: key)
    scratch.withUnsafeBytes { block.write(RawSpan(_unsafeBytes: $0), at: 0) }
  }
}
