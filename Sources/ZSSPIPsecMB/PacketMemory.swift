// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB

  /// Memory for a packet that is being processed, aligned for the widest instructions, and wiped
  /// when it is released. Keys have their memory in ``KeyPool``.
  struct PacketMemory: ~Copyable {
    let address: UnsafeMutableRawPointer
    private let block: UnsafeMutableRawPointer
    private static let alignment = 64
    private let size: Int

    init(size: Int) {
      self.size = size
      // Aligned within a larger block, because allocators leave holes around blocks of such
      // alignment.
      block = .allocate(byteCount: size + Self.alignment, alignment: 16)
      address = block.alignedUp(toMultipleOf: Self.alignment)
      address.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    }

    deinit {
      imb_clear_mem(address, size)
      block.deallocate()
    }
  }
#endif
