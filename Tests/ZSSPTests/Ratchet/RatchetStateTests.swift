// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("Ratchet states (section 9)", .tags(.fast))
struct RatchetStateTests {
  // [RAT-1] [RAT-2]
  @Test("the empty state is zeros and chain length 0")
  func empty() {
    #expect(RatchetState.empty.key.hex == String(repeating: "0", count: 64))
    #expect(RatchetState.empty.fingerprint.bytes == [UInt8](repeating: 0, count: 32))
    #expect(RatchetState.empty.chainLength == 0)
    #expect(RatchetState.empty.isEmpty)
    #expect(RatchetPair.empty == RatchetPair(.empty))
    #expect(RatchetPair.empty.state2 == nil)
    #expect(!state(1).isEmpty)
  }

  // [RAT-7]
  @Test("states are compared by fingerprint and chain length, never by key")
  func equality() {
    #expect(state(1) == state(1, key: 9))
    #expect(state(1) != state(2))
    #expect(state(1, chainLength: 1) != state(1, chainLength: 2))
  }

  @Test(
    "a pair is compared state by state",
    arguments: [
      (RatchetPair(state(1)), RatchetPair(state(1)), true),
      (RatchetPair(state(1)), RatchetPair(state(1), state(2)), false),
      (RatchetPair(state(1)), RatchetPair(state(1), .empty), false),
      (RatchetPair(state(1), state(2)), RatchetPair(state(1), state(2)), true),
      (RatchetPair(state(1), state(2)), RatchetPair(state(2), state(1)), false),
      (RatchetPair(state(1), state(2)), RatchetPair(state(1), state(3)), false),
    ])
  func pairs(_ left: RatchetPair, _ right: RatchetPair, _ equal: Bool) {
    #expect((left == right) == equal)
    #expect((right == left) == equal)
  }

  @Test("what a pair contains")
  func contains() {
    let pair = RatchetPair(state(1), state(2))
    #expect(pair.contains(state(1)) && pair.contains(state(2)))
    #expect(!pair.contains(state(3)) && !pair.contains(.empty))
    #expect(RatchetPair(state(1), .empty).contains(.empty))
    #expect(!RatchetPair(state(1)).contains(.empty))
    #expect(RatchetPair.empty.contains(.empty))
  }

  @Test("a fingerprint keeps all 32 bytes")
  func fingerprints() {
    let bytes = [UInt8](100..<132)
    #expect(Fingerprint(bytes: bytes).bytes == bytes)
    for bit in 0..<256 {
      var other = bytes
      other[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(Fingerprint(bytes: other) != Fingerprint(bytes: bytes))
      var single = [UInt8](repeating: 0, count: 32)
      single[bit / 8] = 1 << UInt8(bit % 8)
      #expect(!Fingerprint(bytes: single).isEmpty)
    }
  }

  @Test("no way of printing shows a whole fingerprint, or a key")
  func descriptions() {
    let fingerprint = Fingerprint(bytes: [UInt8](0xA0..<0xC0))
    let secretState = RatchetState(
      key: [UInt8](repeating: 0xD7, count: 32).secret, fingerprint: fingerprint, chainLength: 7)
    let pair = RatchetPair(secretState, secretState)
    #expect("\(fingerprint)" == "a0a1a2a3")
    for value: Any in [
      fingerprint, secretState, pair, [pair], StoreRequest.lookUp(fingerprint), StoreAnswer.pair(pair),
    ] {
      var dumped = ""
      dump(value, to: &dumped)
      for text in ["\(value)", String(reflecting: value), dumped] {
        // The fifth byte and the words of eight, in hexadecimal and in decimal; bytes of the key.
        for leak in ["a4a5", "\(0xA0A1_A2A3_A4A5_A6A7 as UInt64)", "\(0xA8A9_AAAB_ACAD_AEAF as UInt64)", "d7d7", "215"]
        {
          #expect(!text.contains(leak), "\(text)")
        }
      }
    }
  }
}

/// A state of its own for each number.
func state(_ number: UInt8, key: UInt8? = nil, chainLength: UInt64 = 1) -> RatchetState {
  RatchetState(
    key: [UInt8](repeating: key ?? number, count: 32).secret,
    fingerprint: Fingerprint(bytes: [UInt8](repeating: number, count: 32)), chainLength: chainLength)
}
