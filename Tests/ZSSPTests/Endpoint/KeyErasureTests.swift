// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

/// At most two keys are held; making room for a new one erases the older (section 7).
@Suite("Keys are erased", .tags(.fast))
struct KeyErasureTests {
  private let watch = KeyWatch()

  private func pair() throws -> Pair {
    try Pair.persistent(WatchedProvider(base: FastCrypto(seed: 0x1E), watch: watch))
  }

  /// Both ends hold so many keys, the current one as a pair of keyed objects, others to open what
  /// comes late, and one pair of header keys.
  private func expectKeys(_ count: Int, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(watch.livePacketKeys == (count == 0 ? 0 : 2 * (1 + count)), sourceLocation: sourceLocation)
    #expect(watch.liveHeaderKeys == (count == 0 ? 0 : 2 * 2), sourceLocation: sourceLocation)
  }

  /// Uses the current key in both directions, at both ends: before that it is not expanded.
  private func use(_ pair: Pair, session one: SessionID, other: SessionID) throws {
    try pair.alice.send([1], on: one, at: pair.now)
    try pair.bob.send([1], on: other, at: pair.now)
    pair.settle()
  }

  // [KK-15]
  @Test func onlyTheKeysThatAreHeldLive() throws {
    let pair = try pair()
    expectKeys(0)
    let (one, other) = try pair.establish()
    // Those of the handshake were for it alone.
    #expect(watch.livePacketKeys == 0 && watch.liveHeaderKeys == 0)
    try use(pair, session: one, other: other)
    expectKeys(1)
    for rekey in 1...4 {
      let (peer, id) = rekey % 2 == 0 ? (pair.alice, one) : (pair.bob, other)
      #expect(peer.rekey(id, at: pair.now))
      pair.settle()
      try use(pair, session: one, other: other)
      // The current key, and the previous one for what comes late.
      expectKeys(2)
      #expect(pair.alice.diagnostics.keyIDs == 2 && pair.bob.diagnostics.keyIDs == 2)
    }
    #expect(pair.alice.description(one)?.statistics.rekeys == 4)
    // The others were for the exchange of keys, and gone as soon as they had been used.
    #expect(watch.made > 2 * 2 * 5)
    pair.alice.close(one)
    pair.bob.close(other)
    expectKeys(0)
    #expect(pair.alice.diagnostics.keyIDs == 0 && pair.bob.diagnostics.keyIDs == 0)
  }

  // [KK-15] [TIME-7]
  @Test("a re-key that is under way holds two keys at most, and leaves one behind if it fails")
  func inTheMiddle() throws {
    let pair = try pair()
    let (one, other) = try pair.establish()
    try use(pair, session: one, other: other)
    #expect(pair.bob.rekey(other, at: pair.now))
    pair.settle()
    try use(pair, session: one, other: other)
    var next = pair.beginRekey(other)
    for _ in 0..<4 {
      #expect(watch.livePacketKeys <= 2 * 2 * 2)
      next = pair.round(next)
    }
    #expect(next.isEmpty && pair.alice.state(one) == "S2" && pair.bob.state(other) == "S2")
    try use(pair, session: one, other: other)
    // Everything is lost from here on: R1 comes to its timeout, and takes all keys with it.
    _ = pair.beginRekey(other)
    for _ in 0..<61 {
      pair.skip(.seconds(1))
      pair.bob.advance(to: pair.now)
      _ = pair.bob.pump(at: pair.now)
    }
    // Alice has one to seal with, and two to open with.
    #expect(pair.bob.endReasons == [.rekeyTimeout] && watch.livePacketKeys == 3)
  }

  @Test("of a handshake that comes to nothing no key is left")
  func abandoned() throws {
    let pair = try pair()
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    // A3, and B2.
    _ = pair.round(pair.round(pair.intercept()))
    #expect(pair.alice.state(session) == "A3" && watch.headerKeysMade > 0 && watch.liveHeaderKeys == 0)
    pair.alice.close(session)
    #expect(watch.livePacketKeys == 0)
    pair.run(for: .seconds(10))
    #expect(pair.bob.halfOpenCount == 0 && watch.liveHeaderKeys == 0 && pair.bob.diagnostics.keyIDs == 0)
  }

  // [KK-15]
  /// The stream that opens a message as its fragments arrive holds the key.
  @Test("of a key that makes room nothing is kept for an incomplete message")
  func incompleteMessage() throws {
    let pair = try pair()
    let (one, other) = try pair.establish()
    try use(pair, session: one, other: other)
    try pair.alice.send([UInt8](repeating: 1, count: 5000), on: one, at: pair.now)
    let fragments = pair.intercept()
    pair.deliver(fragments[0])
    pair.deliver(fragments[1])
    #expect(pair.bob.diagnostics.reassemblyBytes > 0)
    for _ in 0..<2 {
      #expect(pair.bob.diagnostics.reassemblyBytes > 0)
      #expect(pair.bob.rekey(other, at: pair.now))
      pair.settle()
      try use(pair, session: one, other: other)
    }
    expectKeys(2)
    #expect(pair.bob.diagnostics.reassemblyBytes == 0)
  }

  // [DEC-39]
  @Test("the previous key is erased to the nanosecond when its lifetime ends, on both sides")
  func previousKeyLifetime() throws {
    let pair = try pair()
    let (one, other) = try pair.establish()
    try use(pair, session: one, other: other)
    try pair.alice.send([1], on: one, at: pair.now)
    try pair.alice.send([2], on: one, at: pair.now)
    try pair.bob.send([UInt8](repeating: 3, count: 5000), on: other, at: pair.now)
    let late = pair.intercept()
    #expect(pair.bob.rekey(other, at: pair.now))
    pair.settle()
    try use(pair, session: one, other: other)
    expectKeys(2)
    let end = pair.now.advanced(by: Settings().previousKeyLifetime)
    #expect(Settings().previousKeyLifetime == .seconds(60))
    pair.run(until: Instant(nanoseconds: end.nanoseconds - 1))
    for peer in [pair.alice, pair.bob] { #expect(peer.diagnostics.keyIDs == 2 && peer.nextDeadline == end) }
    pair.deliver(late[0])
    // A message under the previous key that stays incomplete.
    pair.deliver(late[2])
    #expect(pair.bob.messages.last?.bytes == [1] && pair.alice.diagnostics.reassemblyBytes > 0)
    pair.run(until: end)
    for peer in [pair.alice, pair.bob] {
      #expect(peer.diagnostics.keyIDs == 1 && peer.diagnostics.reassemblyBytes == 0 && peer.countsReassemblyRight)
    }
    for datagram in [late[1], late[3]] {
      let peer = datagram.to == pair.alice.address ? pair.alice : pair.bob
      #expect(peer.receive(datagram.bytes, from: datagram.from, at: pair.now) == .dropped(.unknownKeyID))
    }
    try use(pair, session: one, other: other)
    expectKeys(1)
    try pair.expectWorking()
  }

  @Test("the end of the previous key's lifetime takes no key of a re-key that began before it", arguments: 0...3)
  func previousKeyAndNextRekey(steps: Int) throws {
    let pair = try pair()
    let (one, other) = try pair.establish()
    #expect(pair.bob.rekey(other, at: pair.now))
    pair.settle()
    pair.skip(.seconds(59))
    // As many steps of the next re-key as there are before the time has come.
    var next = pair.beginRekey(other)
    for _ in 0..<steps { next = pair.round(next) }
    pair.skip(.seconds(1))
    pair.alice.advance(to: pair.now)
    pair.bob.advance(to: pair.now)
    for datagram in next { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.alice.description(one)?.statistics.rekeys == 2 && pair.bob.description(other)?.statistics.rekeys == 2)
    #expect(pair.alice.diagnostics.keyIDs == 2 && pair.bob.diagnostics.keyIDs == 2)
    try pair.expectWorking()
  }

  // [CTRL-7] [KK-15]
  @Test("late data is read under the previous key, and no longer under the one before")
  func lateData() throws {
    let pair = try pair()
    let (one, other) = try pair.establish()
    try pair.alice.send([1], on: one, at: pair.now)
    try pair.alice.send([2], on: one, at: pair.now)
    let late = pair.intercept()
    #expect(pair.bob.rekey(other, at: pair.now))
    pair.settle()
    pair.deliver(late[0])
    #expect(pair.bob.messages.map(\.bytes) == [[1]])
    #expect(pair.bob.rekey(other, at: pair.now))
    pair.settle()
    #expect(pair.bob.receive(late[1].bytes, from: late[1].from, at: pair.now) == .dropped(.unknownKeyID))
    try pair.expectWorking()
  }
}
