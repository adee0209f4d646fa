// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB

  /// Memory for an expanded key or a packet in work, aligned as the widest instructions want it, and wiped when it is let go of.
  struct KeyMemory: ~Copyable {
    let address: UnsafeMutableRawPointer
    private let size: Int

    init(size: Int) {
      self.size = size
      address = .allocate(byteCount: size, alignment: 64)
      address.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    }

    deinit {
      imb_clear_mem(address, size)
      address.deallocate()
    }
  }
#endif
