// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB
  import ZSSP

  /// AES-256-GCM under one key (section 1: AEAD), expanded once. A packet causes no allocation.
  final class GCMPacketKey: PacketKey {
    let address = KeyPool.packetKeys.take()
    let manager: UnsafePointer<IMB_MGR>

    init(_ secret: Secret, manager: Manager) {
      precondition(secret.count == 32, "a packet key has 32 bytes")
      self.manager = manager.pointer
      secret.bytes.withUnsafeBytes { zssp_mb_expand_packet_key(manager.pointer, address, $0.baseAddress) }
    }

    deinit { KeyPool.packetKeys.giveBack(address) }

    func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
      let size = plaintext.byteCount
      // C code writes to the output, so its size is checked here instead of by a span.
      precondition(output.byteCount == size + 16, "the output is 16 bytes longer than the plaintext")
      output.withUnsafeMutableBytes { output in
        guard let output = output.baseAddress else { return }
        plaintext.withUnsafeBytes { plaintext in
          authenticating.withUnsafeBytes { additional in
            zssp_mb_seal(
              manager, address, output, plaintext.baseAddress, size, nonce.high, nonce.counter,
              additional.baseAddress, additional.count, output + size)
          }
        }
      }
    }

    func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
      guard message.byteCount >= 16 else { return false }
      let size = message.byteCount - 16
      var tag = InlineArray<16, UInt8>(repeating: 0)
      message.withUnsafeMutableBytes { message in
        authenticating.withUnsafeBytes { additional in
          var tag = tag.mutableSpan
          tag.withUnsafeMutableBufferPointer { tag in
            zssp_mb_open(
              manager, address, message.baseAddress, message.baseAddress, size, nonce.high, nonce.counter,
              additional.baseAddress, additional.count, tag.baseAddress)
          }
        }
      }
      // The library only decrypts; the caller must compare the tags.
      return constantTimeEqual(tag.span.bytes, message.bytes.extracting(size..<size + 16))
    }

    func prefetch() { zssp_mb_prefetch_packet_key(address) }

    func makeStream() -> (any PacketStream)? { GCMPacketStream(self) }
  }
#endif
