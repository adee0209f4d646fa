// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB
  import ZSSP

  /// Packets under one key, one after another, each in pieces. A packet causes no allocation.
  final class GCMPacketStream: PacketStream {
    private let key: GCMPacketKey
    private let memory = PacketMemory(size: zssp_mb_packet_stream_size)
    private var direction = PacketDirection.sealing

    init(_ key: GCMPacketKey) { self.key = key }

    func begin(_ direction: PacketDirection, nonce: Nonce) {
      self.direction = direction
      zssp_mb_begin(key.manager, key.address, memory.address, nonce.high, nonce.counter)
    }

    func update(_ input: RawSpan, into output: inout MutableRawSpan) {
      // C code writes to the output, so its size is checked here instead of by a span.
      precondition(output.byteCount == input.byteCount, "the output is as long as the input")
      output.withUnsafeMutableBytes { output in input.withUnsafeBytes { update($0.baseAddress, output: output) } }
    }

    func update(_ bytes: inout MutableRawSpan) {
      bytes.withUnsafeMutableBytes { update($0.baseAddress, output: $0) }
    }

    private func update(_ input: UnsafeRawPointer?, output: UnsafeMutableRawBufferPointer) {
      guard output.count > 0 else { return }
      switch direction {
      case .sealing:
        zssp_mb_seal_piece(
          key.manager, key.address, memory.address, output.baseAddress, input, output.count)
      case .opening:
        zssp_mb_open_piece(
          key.manager, key.address, memory.address, output.baseAddress, input, output.count)
      }
    }

    func finish(writingTagTo tag: inout MutableRawSpan) {
      precondition(tag.byteCount == 16, "a tag has 16 bytes")
      tag.withUnsafeMutableBytes { zssp_mb_end(key.manager, key.address, memory.address, $0.baseAddress) }
    }

    func finish(expecting tag: RawSpan) -> Bool {
      var right = InlineArray<16, UInt8>(repeating: 0)
      do {
        var elements = right.mutableSpan
        elements.withUnsafeMutableBufferPointer {
          zssp_mb_end(key.manager, key.address, memory.address, $0.baseAddress)
        }
      }
      return constantTimeEqual(right.span.bytes, tag)
    }
  }
#endif
