// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

@Suite("Packets that are opened as their fragments come", .tags(.fast))
struct OpeningReassemblyTests {
  private let key = FastCrypto(seed: 1).packetKey([UInt8](repeating: 7, count: 32).secret)

  private func buffer() -> SessionReassembly {
    SessionReassembly(limits: .init(packets: 64, bytes: 1 << 20, packetBytes: .max), timeout: .seconds(5))
  }

  private func seal(_ plaintext: [UInt8]) -> [UInt8] {
    var packet = [UInt8](repeating: 0, count: plaintext.count + 16)
    packet.withMutableBytes {
      key.seal(plaintext.rawBytes, nonce: Nonce(.data, counter: 1), authenticating: RawSpan(), into: &$0)
    }
    return packet
  }

  // [DEC-23]
  @Test("every order of the fragments", arguments: 2...5)
  func orders(_ count: Int) {
    for size in [16 * count, 17 * count - 1, 18 * count + 1, 40 * count + count / 2] {
      var random = SplitMix64(seed: UInt64(size))
      let message = random.bytes(size - 16)
      let fragments = Fragment.cut(seal(message), into: count)
      for order in permutations(of: count) {
        var buffer = buffer()
        let outcomes = order.map { buffer.insert(fragments[$0]) { key.makeStream() } }
        let wanted: [Reassembled] = Array(repeating: .stored, count: count - 1) + [.opened(message)]
        if outcomes != wanted { Issue.record("\(size) bytes, \(order): \(outcomes)") }
        if buffer.count != 0 || buffer.bytes != 0 { Issue.record("\(size) bytes, \(order): \(buffer.bytes) left") }
        // A changed bit in any of them, in the order they come.
        for forged in 0..<count {
          var changed = fragments
          changed[forged].payload[size % changed[forged].payload.count] ^= 4
          let last = order.map { buffer.insert(changed[$0]) { key.makeStream() } }.last
          if last != .refused(.notAuthentic) { Issue.record("\(size) bytes, \(order): \(String(describing: last))") }
        }
      }
    }
  }

  @Test("a fragment that is shorter than a tag is refused and changes nothing")
  func short() {
    let message = [UInt8](repeating: 3, count: 32 + 1)
    let fragments = Fragment.cut(seal(message), into: 3)
    #expect(fragments.map(\.payload.count) == [17, 16, 16])
    var buffer = buffer()
    #expect(buffer.insert(fragments[1]) { key.makeStream() } == .stored)
    var short = fragments[2]
    short.payload.removeLast()
    #expect(buffer.insert(short) == .refused(.malformed))
    #expect(buffer.insert(fragments[2]) == .stored)
    #expect(buffer.insert(fragments[0]) == .opened(message))
  }

  // [DEC-39]
  @Test("what came under a key that is given up is dropped, and nothing else")
  func removal() {
    let packet = seal([UInt8](repeating: 3, count: 100))
    var buffer = buffer()
    for (counter, keyID) in [(1, 7), (2, 8), (3, 7)] as [(UInt64, UInt32)] {
      let fragment = Fragment.cut(packet, into: 2, counter: counter, keyID: keyID)[0]
      #expect(buffer.insert(fragment) { key.makeStream() } == .stored)
    }
    buffer.removeAll(under: KeyID(value: 7))
    #expect(buffer.count == 1 && buffer.bytes == 2 * 59)
  }
}
