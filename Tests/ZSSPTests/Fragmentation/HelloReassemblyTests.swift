// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

@Suite("Reassembly of Hellos (section 5)", .tags(.fast))
struct HelloReassemblyTests {
  private let stranger = Address(ipv4: 0x0A00_0001, port: 1)

  private func buffer(packets: Int = 32, fragments: Int = 1024) -> HelloReassembly {
    HelloReassembly(limits: .init(packets: packets, fragments: fragments), timeout: .seconds(5))
  }

  /// The fragments of a Hello; each seed gives another one, with another counter.
  private func hello(_ seed: UInt64, fragments count: Int) -> [Fragment] {
    var random = SplitMix64(seed: seed)
    return Fragment.cut(random.bytes(PacketSize.hello), into: count, .hello, counter: seed, keyID: 0)
  }

  private func packet(_ fragments: [Fragment]) -> [UInt8] { fragments.flatMap(\.payload) }

  @Test("every order of the fragments", arguments: 1...5)
  func orders(_ count: Int) {
    let fragments = hello(3, fragments: count)
    for order in permutations(of: count) {
      var buffer = buffer()
      let outcomes = order.map { buffer.insert(fragments[$0], from: stranger) }
      #expect(outcomes == Array(repeating: .stored, count: count - 1) + [.complete(packet(fragments))], "\(order)")
      #expect(buffer.count == 0 && buffer.nextDeadline == nil)
    }
  }

  @Test("many fragments in random order", arguments: [2, 16, 47, 48], [1, 2, 3] as [UInt64])
  func shuffled(_ count: Int, _ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let fragments = hello(seed, fragments: count)
    var buffer = buffer()
    let outcomes = fragments.shuffled(using: &random).map { buffer.insert($0, from: stranger) }
    #expect(outcomes.dropLast().allSatisfy { $0 == .stored })
    #expect(outcomes.last == .complete(packet(fragments)))
  }

  // [FRAG-10]
  @Test("Hellos of many strangers at once stay apart")
  func interleaved() {
    // The same counter from different addresses, and different counters from one.
    let senders = (0..<8).map { Address(ipv4: UInt32($0 / 2), port: UInt16($0 % 2)) }
    let hellos = (0..<16).map { hello(UInt64($0 / 8), fragments: 4).map(\.self) }
    var buffer = buffer()
    for number in 0..<4 {
      for (index, fragments) in hellos.enumerated() {
        let outcome = buffer.insert(fragments[number], from: senders[index % 8])
        #expect(outcome == (number < 3 ? .stored : .complete(packet(fragments))))
      }
    }
    #expect(buffer.count == 0)
  }

  // [FRAG-10]
  @Test("IPv6 scopes and families are parts of an address")
  func addresses() {
    let sources = [
      Address(ipv4: 1, port: 1), Address(ipv6: 0, 1, port: 1), Address(ipv6: 0, 1, port: 1, scope: 2),
      Address(ipv6: 1, 1, port: 1), Address(ipv4: 1, port: 2),
    ]
    var buffer = buffer()
    for source in sources { #expect(buffer.insert(hello(1, fragments: 2)[0], from: source) == .stored) }
    #expect(buffer.count == sources.count)
  }

  // [FRAG-15]
  @Test("a duplicate changes nothing")
  func duplicates() {
    let fragments = hello(3, fragments: 3)
    var buffer = buffer()
    #expect(buffer.insert(fragments[1], from: stranger) == .stored)
    var forged = fragments[1]
    forged.payload[0] ^= 1
    #expect(buffer.insert(forged, from: stranger) == .refused(.duplicateFragment))
    #expect(buffer.insert(fragments[1], from: stranger) == .refused(.duplicateFragment))
    #expect(buffer.insert(fragments[2], from: stranger) == .stored)
    #expect(buffer.insert(fragments[0], from: stranger) == .complete(packet(fragments)))
  }

  // [FRAG-15]
  @Test("another count of fragments is refused and changes nothing")
  func changedCount() {
    let fragments = hello(3, fragments: 3)
    var buffer = buffer()
    #expect(buffer.insert(fragments[0], from: stranger) == .stored)
    for count in [2, 4, 48] {
      #expect(buffer.insert(hello(3, fragments: count)[1], from: stranger) == .refused(.malformed))
    }
    #expect(buffer.insert(fragments[1], from: stranger) == .stored)
    #expect(buffer.insert(fragments[2], from: stranger) == .complete(packet(fragments)))
  }

  @Test("another reserved byte is another packet: it is part of the nonce")
  func reserved() {
    var fragments = hello(3, fragments: 2)
    fragments[1].header.reserved = 1
    var buffer = buffer()
    #expect(buffer.insert(fragments[0], from: stranger) == .stored)
    #expect(buffer.insert(fragments[1], from: stranger) == .stored)
    #expect(buffer.count == 2)
  }

  // [DEC-16] [XK-7]
  /// The size of a Hello is known, so the size of each fragment is.
  @Test("a fragment of the wrong size is refused at once", arguments: [1, 2, 3, 16, 48])
  func wrongSizes(_ count: Int) {
    var buffer = buffer()
    for fragment in hello(3, fragments: count) {
      for difference in [-1, 1, 40] {
        var changed = fragment
        if difference < 0 {
          changed.payload.removeLast()
        } else {
          changed.payload += Array(repeating: 0, count: difference)
        }
        #expect(buffer.insert(changed, from: stranger) == .refused(.malformed))
      }
    }
    #expect(buffer.count == 0)
  }

  // [FRAG-9]
  @Test("the oldest packet makes room for a new one", arguments: [1, 2, 7, 32])
  func packetLimit(_ limit: Int) {
    var buffer = buffer(packets: limit)
    for seed in 0..<UInt64(limit) { #expect(buffer.insert(hello(seed, fragments: 2)[0], from: stranger) == .stored) }
    #expect(buffer.count == limit)
    #expect(buffer.insert(hello(99, fragments: 2)[0], from: stranger) == .stored)
    #expect(buffer.count == limit)
    // The first is gone: its other half begins a new packet, for which the second goes.
    #expect(buffer.insert(hello(0, fragments: 2)[1], from: stranger) == .stored)
    if limit > 1 {
      #expect(buffer.insert(hello(99, fragments: 2)[1], from: stranger) == .complete(packet(hello(99, fragments: 2))))
    }
  }

  // [FRAG-9]
  @Test("fragments have a limit of their own, however they are spread")
  func fragmentLimit() {
    // 3 + 3 of at most 8 fragments are there.
    var buffer = buffer(fragments: 8)
    for seed in 0..<2 as Range<UInt64> {
      for fragment in hello(seed, fragments: 16).prefix(3) {
        #expect(buffer.insert(fragment, from: stranger) == .stored)
      }
    }
    // The ninth makes the oldest go, though it begins no packet.
    for fragment in hello(1, fragments: 16)[3...4] { #expect(buffer.insert(fragment, from: stranger) == .stored) }
    #expect(buffer.count == 2)
    #expect(buffer.insert(hello(1, fragments: 16)[5], from: stranger) == .stored)
    #expect(buffer.count == 1)
    #expect(buffer.insert(hello(0, fragments: 16)[0], from: stranger) == .stored)
    #expect(buffer.count == 2)
  }

  @Test("a packet may have all its fragments, and the others go", arguments: [0, 1])
  func fragmentLimitOfOne(_ older: Int) {
    var buffer = buffer(fragments: 4)
    let hellos = [hello(1, fragments: 16), hello(2, fragments: 16)]
    #expect(buffer.insert(hellos[0][0], from: stranger) == .stored)
    #expect(buffer.insert(hellos[1][0], from: stranger) == .stored)
    let outcomes = hellos[older].dropFirst().map { buffer.insert($0, from: stranger) }
    #expect(outcomes == Array(repeating: .stored, count: 14) + [.complete(packet(hellos[older]))])
    #expect(buffer.count == 0)
  }

  /// The sources of single fragments, in turn.
  enum Flood: String, CaseIterable {
    case onePort, manyPorts, oneNetwork, networks, ipv6Network

    func source(_ number: Int) -> Address {
      switch self {
      case .onePort: Address(ipv4: 0x0B00_0001, port: 1)
      case .manyPorts: Address(ipv4: 0x0B00_0001, port: UInt16(truncatingIfNeeded: number))
      case .oneNetwork: Address(ipv4: 0x0B00_0000 + UInt32(number % 256), port: 1)
      case .networks: Address(ipv4: 0x0B00_0000 + UInt32(number % 31) << 8, port: 1)
      case .ipv6Network: Address(ipv6: 0x2001 << 48 + UInt64(number % 65_536), 1, port: 1)
      }
    }
  }

  // [DEC-18] [DEC-25]
  @Test("single fragments of up to 31 networks push out nobody else's Hello", arguments: Flood.allCases)
  func floodOfFirstFragments(_ flood: Flood) {
    var buffer = buffer()
    let fragments = hello(1, fragments: 2)
    #expect(buffer.insert(fragments[0], from: stranger) == .stored)
    let other = hello(2, fragments: 2)[0]
    for number in 0..<2_000 {
      var fragment = other
      fragment.header.counter = UInt64(number)
      #expect(buffer.insert(fragment, from: flood.source(number)) == .stored)
    }
    #expect(buffer.count == 32)
    #expect(buffer.insert(fragments[1], from: stranger) == .complete(packet(fragments)))
  }

  // [DEC-25]
  @Test("packets of many fragments push out each other, and none of few")
  func floodOfManyFragments() {
    var buffer = buffer()
    let fragments = hello(1, fragments: 2)
    #expect(buffer.insert(fragments[0], from: stranger) == .stored)
    for network in 0..<30 {
      let source = Address(ipv4: 0x0B00_0000 + UInt32(network) << 8, port: 1)
      for fragment in hello(UInt64(network) + 2, fragments: 48).dropLast() {
        #expect(buffer.insert(fragment, from: source) == .stored)
      }
    }
    #expect(buffer.count < 31, "1024 fragments are the limit")
    #expect(buffer.insert(fragments[1], from: stranger) == .complete(packet(fragments)))
  }

  // [DEC-18]
  @Test("beside a host with many, one of its network that has one keeps it")
  func hostsOfOneNetwork() {
    var buffer = buffer()
    let fragments = hello(1, fragments: 2)
    let neighbour = Address(ipv4: 0x0B00_0002, port: 1)
    #expect(buffer.insert(fragments[0], from: neighbour) == .stored)
    for seed in 2..<100 as Range<UInt64> {
      #expect(
        buffer.insert(hello(seed, fragments: 2)[0], from: Address(ipv4: 0x0B00_0001, port: UInt16(seed))) == .stored)
    }
    #expect(buffer.insert(fragments[1], from: neighbour) == .complete(packet(fragments)))
  }

  // [FRAG-16]
  @Test("a packet is dropped 5 s after its first fragment, to the nanosecond")
  func expiry() {
    let fragments = hello(1, fragments: 3)
    var buffer = buffer()
    #expect(buffer.insert(fragments[0], from: stranger, at: Instant(nanoseconds: 7)) == .stored)
    // A later fragment does not keep it alive.
    #expect(buffer.insert(fragments[1], from: stranger, at: .milliseconds(4000)) == .stored)
    #expect(buffer.nextDeadline == Instant(nanoseconds: 5_000_000_007))
    #expect(buffer.expire(at: Instant(nanoseconds: 5_000_000_006)) == 0)
    #expect(buffer.count == 1)
    #expect(buffer.expire(at: Instant(nanoseconds: 5_000_000_007)) == 1)
    #expect(buffer.count == 0 && buffer.nextDeadline == nil)
    #expect(buffer.insert(fragments[2], from: stranger, at: .milliseconds(5001)) == .stored)
  }

  @Test("packets expire one by one, and only incomplete ones")
  func expiryInOrder() {
    var buffer = buffer()
    for seed in 0..<4 as Range<UInt64> {
      #expect(
        buffer.insert(hello(seed, fragments: 2)[0], from: stranger, at: .milliseconds(Int64(seed) * 1000)) == .stored)
    }
    #expect(
      buffer.insert(hello(1, fragments: 2)[1], from: stranger, at: .milliseconds(3000))
        == .complete(packet(hello(1, fragments: 2))))
    #expect(buffer.nextDeadline == .milliseconds(5000))
    #expect(buffer.expire(at: .milliseconds(6999)) == 1)
    #expect(buffer.nextDeadline == .milliseconds(7000))
    #expect(buffer.expire(at: .milliseconds(60_000)) == 2)
  }
}
