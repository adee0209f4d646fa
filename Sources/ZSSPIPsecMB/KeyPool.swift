// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import CZSSPIPsecMB
  import Glibc
  import Synchronization

  /// Memory for expanded keys of one size, apart from all other memory of the process.
  ///
  /// Keys are expanded and given up all the time while sessions, which lie between them where one allocator serves both, stay: the holes
  /// would stay as well. Slabs hold nothing but keys, so that one whose keys are all given up goes back to the system.
  ///
  /// Keys may be made and let go of on any thread. The lock is held for a few instructions, and for a call of the system when a slab
  /// is made or given back.
  final class KeyPool: Sendable {
    /// Bytes of a slab, and their alignment: what a place belongs to is found in its address.
    static let slabSize = 1 << 18
    /// The widest instructions want keys at multiples of it.
    private static let alignment = 64

    /// Those of packet keys.
    static let packetKeys = KeyPool(size: zssp_mb_packet_key_size)
    /// Those of header keys.
    static let headerKeys = KeyPool(size: zssp_mb_header_key_size)

    /// Bytes of a key, and from one place to the next.
    private let size, stride: Int
    /// How many keys a slab holds.
    let placesPerSlab: Int
    private let state = Mutex(State())

    /// Slabs, by their addresses.
    private struct State {
      /// Those that have a free place, the first at hand. They know their neighbours.
      var open: UInt = 0
      /// One slab that is empty is kept: a key that comes and goes by itself must not call the system each time.
      var spare: UInt = 0
      var slabs = 0
    }

    /// What a slab begins with. Free places are linked: each has the address of the next in its first bytes.
    private struct Slab {
      var next: UInt = 0
      var previous: UInt = 0
      var free: UInt = 0
      var fresh = 0
      var used = 0
    }

    /// A pool of places for `size` bytes each.
    init(size: Int) {
      self.size = size
      stride = (size + Self.alignment - 1) / Self.alignment * Self.alignment
      placesPerSlab = (Self.slabSize - Self.alignment) / stride
      precondition(MemoryLayout<Slab>.size <= Self.alignment && placesPerSlab > 0, "a slab holds keys")
    }

    /// How many slabs there are, for tests.
    var slabCount: Int { state.withLock { $0.slabs } }

    /// A place for a key. What it holds before is worth nothing.
    func take() -> UnsafeMutableRawPointer {
      let address = state.withLock { state in
        let slab = state.open != 0 ? Self.slab(state.open) : addSlab(&state)
        let base = UInt(bitPattern: slab)
        defer {
          slab.pointee.used += 1
          if slab.pointee.used == placesPerSlab { Self.unlink(slab, &state) }
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

    /// Wipes a place and takes it back.
    func giveBack(_ place: UnsafeMutableRawPointer) {
      imb_clear_mem(place, size)
      let address = UInt(bitPattern: place)
      state.withLock { state in
        let slab = Self.slab(address & ~UInt(Self.slabSize - 1))
        if slab.pointee.used == placesPerSlab { Self.insert(slab, &state) }
        Self.link(address).initialize(to: slab.pointee.free)
        slab.pointee.free = address
        slab.pointee.used -= 1
        if slab.pointee.used == 0 { close(slab, &state) }
      }
    }

    private func addSlab(_ state: inout State) -> UnsafeMutablePointer<Slab> {
      if state.spare != 0 {
        let slab = Self.slab(state.spare)
        state.spare = 0
        Self.insert(slab, &state)
        return slab
      }
      state.slabs += 1
      let slab = Self.slab(Self.map())
      slab.initialize(to: Slab())
      Self.insert(slab, &state)
      return slab
    }

    /// No key of the slab is left.
    private func close(_ slab: UnsafeMutablePointer<Slab>, _ state: inout State) {
      Self.unlink(slab, &state)
      if state.spare == 0 {
        state.spare = UInt(bitPattern: slab)
      } else {
        state.slabs -= 1
        munmap(slab, Self.slabSize)
      }
    }

    private static func insert(_ slab: UnsafeMutablePointer<Slab>, _ state: inout State) {
      (slab.pointee.next, slab.pointee.previous) = (state.open, 0)
      if state.open != 0 { self.slab(state.open).pointee.previous = UInt(bitPattern: slab) }
      state.open = UInt(bitPattern: slab)
    }

    private static func unlink(_ slab: UnsafeMutablePointer<Slab>, _ state: inout State) {
      let (next, previous) = (slab.pointee.next, slab.pointee.previous)
      if next != 0 { self.slab(next).pointee.previous = previous }
      if previous != 0 { self.slab(previous).pointee.next = next } else { state.open = next }
    }
  }

  extension KeyPool {
    /// Memory of the system for a slab, aligned to its size: twice as much, without what lies before and behind.
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
