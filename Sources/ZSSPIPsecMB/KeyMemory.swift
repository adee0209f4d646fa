// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB

  /// Memory for an expanded key, aligned as the widest instructions want it. It is the last part of the key's own object: where
  /// keys lie in no cache, an address that must be read first is a second wait.
  extension ManagedBuffer<KeyHeader, UInt8> {
    private static var alignment: Int { 64 }

    /// An object of this class with `size` zero bytes for the key.
    ///
    /// Aligned within a larger object: allocators leave holes around blocks of such alignment, which with many sessions came to a
    /// kilobyte for each.
    static func zeroed(size: Int, _ manager: Manager) -> Self {
      let object = create(minimumCapacity: size + alignment - 16) { _ in
        KeyHeader(manager: manager.pointer, size: size)
      }
      object.address.initializeMemory(as: UInt8.self, repeating: 0, count: size)
      // `create` makes an object of the class that it is called on.
      return unsafeDowncast(object, to: Self.self)
    }

    /// Where the key lies. Objects do not move.
    @inline(__always)
    var address: UnsafeMutableRawPointer {
      withUnsafeMutablePointerToElements { UnsafeMutableRawPointer($0).alignedUp(toMultipleOf: Self.alignment) }
    }

    /// To be called when the object goes.
    func wipe() { imb_clear_mem(address, header.size) }
  }

  /// What an expanded key has in front of it.
  struct KeyHeader {
    let manager: UnsafePointer<IMB_MGR>
    let size: Int
  }

  /// Memory for a packet in work, aligned likewise, and wiped when it is let go of.
  struct PacketMemory: ~Copyable {
    let address: UnsafeMutableRawPointer
    private let block: UnsafeMutableRawPointer
    private static let alignment = 64
    private let size: Int

    init(size: Int) {
      self.size = size
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
