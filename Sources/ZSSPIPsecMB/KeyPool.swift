// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB
  import Glibc
  import Synchronization

  /// Memory for expanded keys of one size, separate from all other memory of the process.
  ///
  /// Keys are expanded and evicted all the time, while sessions stay. With one allocator for both,
  /// evicted keys would leave holes between the sessions. Slabs hold nothing but keys, so a slab
  /// returns to the system when its last key is evicted.
  ///
  /// Keys may be created and released on any thread. The lock is held for a few instructions, and
  /// for a system call when a slab is mapped or unmapped.
  final class KeyPool: Sendable {
    /// The size of a slab in bytes, and its alignment: the address of a key tells its slab.
    static let slabSize = 1 << 18
    /// The alignment of keys, for the widest instructions.
    private static let alignment = 64

    /// The pool of packet keys.
    static let packetKeys = KeyPool(size: zssp_mb_packet_key_size)
    /// The pool of header keys.
    static let headerKeys = KeyPool(size: zssp_mb_header_key_size)

    /// The size of a key in bytes, and the distance between two.
    private let size, stride: Int
    /// The number of keys in a slab.
    let placesPerSlab: Int
    private let state = Mutex(State())

    /// Slabs, by their addresses.
    private struct State {
      /// The first slab with a free slot; 0 if there is none. Such slabs form a list.
      var open: UInt = 0
      /// An empty slab that is kept, so that a single key that comes and goes does not cause a
      /// system call each time.
      var spare: UInt = 0
      var slabs = 0
    }

    /// The header of a slab. Free slots form a list: the first bytes of each hold the address of
    /// the next.
    private struct Slab {
      var next: UInt = 0
      var previous: UInt = 0
      var free: UInt = 0
      var fresh = 0
      var used = 0
    }

    /// Creates a pool of slots of `size` bytes each.
    init(size: Int) {
      self.size = size
      stride = (size + Self.alignment - 1) / Self.alignment * Self.alignment
      placesPerSlab = (Self.slabSize - Self.alignment) / stride
      precondition(MemoryLayout<Slab>.size <= Self.alignment && placesPerSlab > 0, "a slab holds keys")
    }

    /// The number of slabs, for tests.
    var slabCount: Int { state.withLock { $0.slabs } }

    /// Returns a slot for a key. Its content is undefined.
    func take() -> UnsafeMutableRawPointer {
      let address = state.withLock { state in
        let slab = state.open != 0 ? Self.slab(state.open) : addSlab(&state)
        let base = UInt(bitPattern: slab)
        defer {
          slab.pointee.used += 1
          if slab.pointee.used == placesPerSlab { Self.unlink(slab, from: &state) }
        }
        if slab.pointee.free != 0 {
          let place = slab.pointee.free
          slab.pointee.free = Self.link(place).pointee
          return place
        }
        defer { slab.pointee.fresh += 1 }
        return base + UInt(Self.alignment + slab.pointee.fresh * stride)
      }
      return Self.pointer(address)
    }

    /// Wipes a slot, and frees it.
    func giveBack(_ place: UnsafeMutableRawPointer) {
      imb_clear_mem(place, size)
      let address = UInt(bitPattern: place)
      state.withLock { state in
        let slab = Self.slab(address & ~UInt(Self.slabSize - 1))
        if slab.pointee.used == placesPerSlab { Self.insert(slab, into: &state) }
        Self.link(address).initialize(to: slab.pointee.free)
        slab.pointee.free = address
        slab.pointee.used -= 1
        if slab.pointee.used == 0 { close(slab, in: &state) }
      }
    }

    private func addSlab(_ state: inout State) -> UnsafeMutablePointer<Slab> {
      if state.spare != 0 {
        let slab = Self.slab(state.spare)
        state.spare = 0
        Self.insert(slab, into: &state)
        return slab
      }
      state.slabs += 1
      let slab = Self.slab(Self.map())
      slab.initialize(to: Slab())
      Self.insert(slab, into: &state)
      return slab
    }

    /// Frees a slab without keys, or keeps it as the spare one.
    private func close(_ slab: UnsafeMutablePointer<Slab>, in state: inout State) {
      Self.unlink(slab, from: &state)
      if state.spare == 0 {
        state.spare = UInt(bitPattern: slab)
      } else {
        state.slabs -= 1
        munmap(slab, Self.slabSize)
      }
    }

    private static func insert(_ slab: UnsafeMutablePointer<Slab>, into state: inout State) {
      slab.pointee.next = state.open
      slab.pointee.previous = 0
      if state.open != 0 { self.slab(state.open).pointee.previous = UInt(bitPattern: slab) }
      state.open = UInt(bitPattern: slab)
    }

    private static func unlink(_ slab: UnsafeMutablePointer<Slab>, from state: inout State) {
      let next = slab.pointee.next
      let previous = slab.pointee.previous
      if next != 0 { self.slab(next).pointee.previous = previous }
      if previous != 0 { self.slab(previous).pointee.next = next } else { state.open = next }
    }
  }

  extension KeyPool {
    /// Maps memory for a slab, aligned to its size: maps twice as much, and unmaps the parts before
    /// and after.
    private static func map() -> UInt {
      let size = UInt(slabSize)
      guard
        let memory = mmap(nil, 2 * slabSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        memory != MAP_FAILED
      else { fatalError("no memory for keys") }
      let start = UInt(bitPattern: memory)
      let slab = (start + size - 1) & ~(size - 1)
      if slab > start { munmap(pointer(start), Int(slab - start)) }
      munmap(pointer(slab + size), Int(start + size - slab))
      return slab
    }

    private static func pointer(_ address: UInt) -> UnsafeMutableRawPointer {
      guard let pointer = UnsafeMutableRawPointer(bitPattern: address) else { fatalError("a place has an address") }
      return pointer
    }

    private static func slab(_ address: UInt) -> UnsafeMutablePointer<Slab> {
      pointer(address).assumingMemoryBound(to: Slab.self)
    }

    private static func link(_ place: UInt) -> UnsafeMutablePointer<UInt> {
      pointer(place).assumingMemoryBound(to: UInt.self)
    }
  }
#endif
