// SPDX-License-Identifier: Apache-2.0
#if IPsecMB && os(Linux) && arch(x86_64)
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPIPsecMB

  @Suite("Memory for expanded keys of intel-ipsec-mb", .tags(.fast))
  struct KeyPoolTests {
    @Test("places are aligned, lie apart, and are used again", arguments: [16, 480, 1008])
    func places(size: Int) {
      let pool = KeyPool(size: size)
      let count = 2 * pool.placesPerSlab + 3
      var places = (0..<count).map { _ in UInt(bitPattern: pool.take()) }
      #expect(pool.slabCount == 3 && places.allSatisfy { $0 % 64 == 0 })
      let sorted = places.sorted()
      #expect(zip(sorted, sorted.dropFirst()).allSatisfy { $1 - $0 >= UInt(size) })
      places.shuffle()
      for _ in 0..<5000 {
        let index = Int.random(in: 0..<count)
        UnsafeMutableRawPointer(bitPattern: places[index]).map(pool.giveBack)
        places[index] = UInt(bitPattern: pool.take())
      }
      #expect(Set(places).count == count && pool.slabCount == 3)
      for place in places { UnsafeMutableRawPointer(bitPattern: place).map(pool.giveBack) }
    }

    @Test("slabs without keys go back to the system, but one")
    func returned() {
      let pool = KeyPool(size: 1008)
      let places = (0..<10 * pool.placesPerSlab).map { _ in pool.take() }
      #expect(pool.slabCount == 10)
      for place in places { pool.giveBack(place) }
      #expect(pool.slabCount == 1)
      // The one that is left serves again.
      pool.giveBack(pool.take())
      #expect(pool.slabCount == 1)
    }

    @Test("what is given back was wiped")
    func wiped() {
      let pool = KeyPool(size: 480)
      // The slab stays as long as one of its places is taken.
      let stays = pool.take()
      let place = pool.take()
      place.initializeMemory(as: UInt8.self, repeating: 0xA5, count: 480)
      pool.giveBack(place)
      // The first word links the free places.
      let rest = UnsafeRawBufferPointer(start: place + 8, count: 472)
      #expect(rest.allSatisfy { $0 == 0 })
      pool.giveBack(stays)
    }
  }
#endif
