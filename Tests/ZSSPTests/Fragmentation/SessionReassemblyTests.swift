// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

@Suite("Reassembly of the packets of a session (section 5)", .tags(.fast))
struct SessionReassemblyTests {
  private func buffer(packets: Int = 64, bytes: Int = 1 << 20, packetBytes: Int = .max) -> SessionReassembly {
    SessionReassembly(
      limits: .init(packets: packets, bytes: bytes, packetBytes: packetBytes), timeout: .seconds(5))
  }

  private func message(_ size: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    return random.bytes(size)
  }

  @Test("every order of the fragments, for sizes that divide and that do not", arguments: 2...5)
  func orders(_ count: Int) {
    for size in 16 * count..<18 * count {
      let packet = message(size)
      let fragments = Fragment.cut(packet, into: count)
      for order in permutations(of: count) {
        var buffer = buffer()
        let outcomes = order.map { buffer.insert(fragments[$0]) }
        let wanted: [Reassembled] = Array(repeating: .stored, count: count - 1) + [.complete(packet)]
        if outcomes != wanted { Issue.record("\(size) bytes, \(order): \(outcomes)") }
        if buffer.count != 0 || buffer.bytes != 0 { Issue.record("\(size) bytes, \(order): \(buffer.bytes) left") }
      }
    }
  }

  @Test("many fragments in random order", arguments: [15, 47, 48], [16, 100, 1384])
  func shuffled(_ count: Int, _ payload: Int) {
    var random = SplitMix64(seed: UInt64(count * payload))
    for extra in [0, 1, count / 2, count - 1] {
      let packet = random.bytes(count * payload + extra)
      var buffer = buffer()
      let outcomes = Fragment.cut(packet, into: count).shuffled(using: &random).map { buffer.insert($0) }
      #expect(outcomes.dropLast().allSatisfy { $0 == .stored })
      #expect(outcomes.last == .complete(packet))
    }
  }

  // [FRAG-13]
  @Test("64 packets at once, whatever their order")
  func interleaved() {
    var random = SplitMix64(seed: 5)
    let packets = (0..<64).map { random.bytes(100 + $0) }
    let fragments = packets.enumerated().flatMap { Fragment.cut($1, into: 4, counter: UInt64($0) + 1000) }
    var buffer = buffer()
    var complete: [[UInt8]] = []
    for fragment in fragments.shuffled(using: &random) {
      switch buffer.insert(fragment) {
      case .stored: break
      case .complete(let packet): complete.append(packet)
      case .refused(let reason): Issue.record("\(reason)")
      case .opened: Issue.record("opened")
      }
    }
    #expect(Set(complete) == Set(packets))
    #expect(complete.count == 64)
    #expect(buffer.count == 0 && buffer.bytes == 0)
  }

  // [FRAG-15]
  @Test("a duplicate changes nothing")
  func duplicates() {
    let packet = message(100)
    let fragments = Fragment.cut(packet, into: 3)
    var buffer = buffer()
    #expect(buffer.insert(fragments[2]) == .stored)
    var forged = fragments[2]
    forged.payload[3] ^= 0x80
    #expect(buffer.insert(forged) == .refused(.duplicateFragment))
    #expect(buffer.insert(fragments[2]) == .refused(.duplicateFragment))
    #expect(buffer.insert(fragments[0]) == .stored)
    #expect(buffer.insert(fragments[1]) == .complete(packet))
  }

  // [FRAG-15]
  @Test("another count of fragments is refused and changes nothing")
  func changedCount() {
    let packet = message(120)
    let fragments = Fragment.cut(packet, into: 3)
    var buffer = buffer()
    #expect(buffer.insert(fragments[0]) == .stored)
    for count in [2, 4, 48] {
      var changed = fragments[1]
      changed.header.count = UInt8(count)
      #expect(buffer.insert(changed) == .refused(.malformed))
    }
    #expect(buffer.insert(fragments[1]) == .stored)
    #expect(buffer.insert(fragments[2]) == .complete(packet))
  }

  /// Sizes of fragments differ by one byte at most, so the first to come tells those of the others.
  @Test("a fragment of another size is refused and changes nothing", arguments: [-20, -2, 2, 20])
  func wrongSize(_ difference: Int) {
    let packet = message(120)
    let fragments = Fragment.cut(packet, into: 3)
    var buffer = buffer()
    #expect(buffer.insert(fragments[0]) == .stored)
    var changed = fragments[1]
    changed.payload = message(40 + difference)
    #expect(buffer.insert(changed) == .refused(.malformed))
    #expect(buffer.insert(fragments[1]) == .stored)
    #expect(buffer.insert(fragments[2]) == .complete(packet))
  }

  // [FRAG-6]
  @Test(
    "sizes that section 5 does not give are refused at the end",
    arguments: [
      [40, 41], [39, 41], [40, 41, 41], [41, 40, 41], [40, 40, 41], [39, 40, 41], [41, 41, 39], [40, 39, 40],
    ])
  func unplanned(_ sizes: [Int]) {
    for order in permutations(of: sizes.count) {
      var buffer = buffer()
      var outcomes: [Reassembled] = []
      for number in order {
        let header = FragmentHeader(
          keyID: KeyID(value: 1), number: number, count: sizes.count, type: .data, counter: 1)
        outcomes.append(buffer.insert(Fragment(header: header, payload: message(sizes[number]))))
      }
      let refusals = outcomes.filter { $0 == .refused(.malformed) }
      let completions = outcomes.filter { if case .complete = $0 { true } else { false } }
      #expect(!refusals.isEmpty && completions.isEmpty, "\(order)")
    }
  }

  // [FRAG-14]
  @Test("a newer packet takes the slot of an older one, an older one does not")
  func slots() {
    let old = Fragment.cut(message(100), into: 2, counter: 5)
    let new = Fragment.cut(message(100, seed: 2), into: 2, counter: 5 + 64)
    var buffer = buffer()
    #expect(buffer.insert(old[0]) == .stored)
    #expect(buffer.insert(new[0]) == .stored)
    #expect(buffer.count == 1)
    #expect(buffer.insert(old[1]) == .refused(.reassemblyFull))
    #expect(buffer.insert(new[1]) == .complete(message(100, seed: 2)))
    #expect(buffer.count == 0)
  }

  @Test("what differs in key, type or reserved byte is another packet")
  func parts() {
    let fragments = Fragment.cut(message(100), into: 2, counter: 5)
    let others: [(inout FragmentHeader) -> Void] = [
      { $0.keyID = KeyID(value: 8) }, { $0.type = PacketType.response.rawValue }, { $0.reserved = 1 },
    ]
    for change in others {
      var buffer = buffer()
      #expect(buffer.insert(fragments[0]) == .stored)
      var other = fragments[1]
      change(&other.header)
      #expect(buffer.insert(other) == .refused(.reassemblyFull))
      #expect(buffer.insert(fragments[1]) == .complete(message(100)))
    }
  }

  @Test("the oldest packets make room when bytes are short")
  func byteLimit() {
    // A packet of four fragments of 100 bytes takes 4·101 while it is incomplete.
    var buffer = buffer(bytes: 3 * 404)
    for counter in 1...3 as ClosedRange<UInt64> {
      #expect(buffer.insert(Fragment.cut(message(400), into: 4, counter: counter)[0]) == .stored)
    }
    #expect(buffer.count == 3 && buffer.bytes == 3 * 404)
    #expect(buffer.insert(Fragment.cut(message(400), into: 4, counter: 4)[0]) == .stored)
    #expect(buffer.count == 3 && buffer.bytes == 3 * 404)
    // Twice the size makes two go.
    #expect(buffer.insert(Fragment.cut(message(800), into: 8, counter: 5)[0]) == .stored)
    #expect(buffer.count == 2 && buffer.bytes == 404 + 808)
    for fragment in Fragment.cut(message(400), into: 4, counter: 4)[1...2] {
      #expect(buffer.insert(fragment) == .stored)
    }
    #expect(buffer.insert(Fragment.cut(message(400), into: 4, counter: 4)[3]) == .complete(message(400)))
  }

  // [FRAG-15]
  @Test("a packet larger than all the room is refused and makes nothing go")
  func tooLarge() {
    var buffer = buffer(bytes: 1000)
    #expect(buffer.insert(Fragment.cut(message(400), into: 4)[0]) == .stored)
    #expect(buffer.insert(Fragment.cut(message(4000), into: 4, counter: 2)[0]) == .refused(.reassemblyFull))
    #expect(buffer.count == 1 && buffer.bytes == 404)
  }

  // [FRAG-15]
  @Test("bug: a newer packet that was too large took the slot of an older one before it was refused")
  func tooLargeForASlotInUse() {
    var buffer = buffer(bytes: 1000)
    let older = Fragment.cut(message(100), into: 2, counter: 5)
    #expect(buffer.insert(older[0]) == .stored)
    #expect(buffer.insert(Fragment.cut(message(4000), into: 4, counter: 5 + 64)[0]) == .refused(.reassemblyFull))
    #expect(buffer.insert(older[1]) == .complete(message(100)))
  }

  @Test("the limit of one packet is exact", arguments: [(4177, true), (4178, false), (4600, false), (60_000, false)])
  func packetLimit(_ size: Int, _ isGood: Bool) {
    var buffer = buffer(packets: 1, bytes: 1 << 14, packetBytes: 4177)
    let packet = message(size)
    let outcomes = Fragment.cut(packet, into: 38, .completion, counter: 0).map { buffer.insert($0) }
    #expect(outcomes.contains(.complete(packet)) == isGood)
    #expect(outcomes.contains { $0 == .refused(.reassemblyFull) || $0 == .refused(.malformed) } != isGood)
  }

  // [FRAG-16]
  @Test("a packet is dropped 5 s after its first fragment, to the nanosecond")
  func expiry() {
    let fragments = Fragment.cut(message(100), into: 3)
    var buffer = buffer()
    #expect(buffer.insert(fragments[0], at: Instant(nanoseconds: 9)) == .stored)
    #expect(buffer.insert(fragments[1], at: .milliseconds(4999)) == .stored)
    #expect(buffer.nextDeadline == Instant(nanoseconds: 5_000_000_009))
    #expect(buffer.expire(at: Instant(nanoseconds: 5_000_000_008)) == 0)
    #expect(buffer.count == 1)
    #expect(buffer.expire(at: Instant(nanoseconds: 5_000_000_009)) == 1)
    #expect(buffer.count == 0 && buffer.bytes == 0 && buffer.nextDeadline == nil)
  }

  @Test("dropping everything leaves an empty buffer")
  func removeAll() {
    var buffer = buffer()
    for counter in 1...5 as ClosedRange<UInt64> {
      #expect(buffer.insert(Fragment.cut(message(100), into: 2, counter: counter)[0]) == .stored)
    }
    buffer.removeAll()
    #expect(buffer.count == 0 && buffer.bytes == 0 && buffer.nextDeadline == nil)
    #expect(buffer.insert(Fragment.cut(message(100), into: 2)[1]) == .stored)
  }
}
