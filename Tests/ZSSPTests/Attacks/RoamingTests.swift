// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

/// A session follows its peer to where its newest authentic packet comes from, and nowhere else.
@Suite("Attack: address hijack, and roaming", .tags(.fast), .serialized)
struct RoamingTests {
  private let provider = SwiftCryptoProvider()
  private let elsewhere = Address(ipv4: 0x0A00_0099, port: 99)

  private func moves(_ peer: TestPeer) -> [Address] {
    peer.events.compactMap { if case .moved(_, _, let address) = $0 { address } else { nil } }
  }

  /// Alice's message on its way to Bob.
  private func message(_ pair: Pair, on session: SessionID, bytes: [UInt8]) throws -> [Datagram] {
    try pair.alice.send(bytes, on: session, at: pair.now)
    return pair.intercept()
  }

  // [DEC-30]
  @Test("the newest data moves the session, whole and in fragments", arguments: [3, 5000])
  func newestData(size: Int) throws {
    let pair = try Pair.persistent(provider)
    let (one, other) = try pair.establish()
    let data = try message(pair, on: one, bytes: [UInt8](repeating: 7, count: size))
    for datagram in data.from(elsewhere) { pair.bob.receive(datagram.bytes, from: elsewhere, at: pair.now) }
    pair.collect()
    #expect(moves(pair.bob) == [elsewhere] && pair.bob.messages.count == 1)
    #expect(pair.bob.description(other)?.address == elsewhere)
    try pair.bob.send([9], on: other, at: pair.now)
    #expect(pair.intercept().map(\.to) == [elsewhere])
    // And back, with the next message.
    for datagram in try message(pair, on: one, bytes: [1]) { pair.deliver(datagram) }
    #expect(moves(pair.bob) == [elsewhere, pair.alice.address])
    try pair.expectWorking()
  }

  // [DEC-31]
  @Test func replayedDataMovesNothing() throws {
    let pair = try Pair.persistent(provider)
    let (one, other) = try pair.establish()
    let data = try message(pair, on: one, bytes: [1])
    for datagram in data { pair.deliver(datagram) }
    for datagram in data {
      #expect(pair.bob.receive(datagram.bytes, from: mallory, at: pair.now) == .dropped(.replayed))
    }
    #expect(pair.bob.description(other)?.address == pair.alice.address && moves(pair.bob) == [])
    try pair.expectWorking()
  }

  // [DEC-31]
  @Test func heldBackDataIsDeliveredAndMovesNothing() throws {
    let pair = try Pair.persistent(provider)
    let (one, other) = try pair.establish()
    let heldBack =
      try message(pair, on: one, bytes: [1]) + message(pair, on: one, bytes: [UInt8](repeating: 2, count: 5000))
    for datagram in try message(pair, on: one, bytes: [3]) { pair.deliver(datagram) }
    for datagram in heldBack { pair.bob.receive(datagram.bytes, from: mallory, at: pair.now) }
    pair.collect()
    #expect(pair.bob.messages.map(\.bytes.first) == [3, 1, 2], "older, but fresh")
    #expect(pair.bob.description(other)?.address == pair.alice.address && moves(pair.bob) == [])
    try pair.expectWorking()
  }

  // [DEC-31]
  @Test func forgedDataMovesNothing() throws {
    let pair = try Pair.persistent(provider)
    let (one, other) = try pair.establish()
    let data = try message(pair, on: one, bytes: [1, 2, 3, 4])[0]
    for bit in 0..<data.bytes.count * 8 {
      pair.bob.receive(data.flipped(bit / 8, bit % 8).bytes, from: mallory, at: pair.now)
    }
    pair.collect()
    #expect(pair.bob.messages.isEmpty)
    #expect(pair.bob.description(other)?.address == pair.alice.address && moves(pair.bob) == [])
    pair.deliver(data)
    #expect(pair.bob.messages.map(\.bytes) == [[1, 2, 3, 4]])
    try pair.expectWorking()
  }

  // [DEC-28] [DEC-29]
  /// An attacker who repeats a Hello of Alice's from elsewhere gets X2, and nothing more.
  @Test(
    "a relayed or repeated X1 does not divert a client that only receives, nor do re-keys", arguments: [false, true])
  func relayedHello(isRepeated: Bool) throws {
    let pair = try Pair(provider: provider)
    var asked: [Address] = []
    pair.bob.decide = { request in
      asked.append(request.address)
      return .accept(.opportunistic)
    }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let hello = pair.intercept()
    for datagram in hello.from(mallory) { pair.deliver(datagram) }
    var response = pair.intercept()
    #expect(response.allSatisfy { $0.to == mallory })
    if isRepeated { response = pair.round(hello) }
    // The attacker hands X2 on. What comes then is Alice's own.
    for datagram in response { pair.alice.receive(datagram.bytes, from: pair.bob.address, at: pair.now) }
    pair.settle()
    let other = try #require(pair.bob.establishedSession)
    #expect(asked == [pair.alice.address] && pair.bob.description(other)?.address == pair.alice.address)
    for (peer, id) in [(pair.alice, session), (pair.bob, other)] {
      #expect(peer.rekey(id, at: pair.now))
      pair.settle()
    }
    #expect(pair.bob.description(other)?.address == pair.alice.address && moves(pair.bob) == [])
    try pair.expectWorking()
  }

  // [DEC-29]
  @Test("what answers an X3 goes where X3 came from: a refusal")
  func refusal() throws {
    let pair = try Pair(provider: provider)
    pair.bob.decide = { _ in .reject(silently: false) }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let response = pair.round(pair.intercept().from(mallory))
    for datagram in response { pair.alice.receive(datagram.bytes, from: pair.bob.address, at: pair.now) }
    pair.settle()
    #expect(pair.alice.state(session) == nil && pair.alice.endReasons == [.rejected])
  }

  // [DEC-29]
  @Test("an X3 of which only the last fragment came from elsewhere is answered there")
  func lastFragment() throws {
    let pair = try Pair(provider: provider)
    _ = try pair.alice.open(to: pair.bob, identity: [UInt8](repeating: 1, count: 3000), at: pair.now)
    let completion = pair.round(pair.round(pair.intercept()))
    #expect(completion.count == 3)
    for datagram in completion.dropLast() + completion.suffix(1).map({ [$0].from(elsewhere)[0] }) {
      pair.deliver(datagram)
    }
    #expect(pair.intercept().map(\.to) == [elsewhere], "C1")
  }

  // [DEC-30]
  /// A NAT in front of Alice gives her another address before each of her packets; then one in
  /// front of Bob.
  @Test("C1, C2, K1 and K2 move a session, as data do", arguments: [false, true])
  func controlPacketsMoveASession(ofAlice: Bool) throws {
    let pair = try Pair(provider: provider)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let completion = pair.round(pair.round(pair.intercept()))
    var next = pair.round(completion)
    let other = try #require(pair.bob.establishedSession)
    var expected: [Address] = []
    var port: UInt16 = 7000
    /// Delivers until nothing comes any more; what the moving side sends comes from a new address
    /// each time.
    func deliver() {
      while !next.isEmpty {
        for datagram in next {
          let isFromAlice = datagram.from == pair.alice.address
          let peer = isFromAlice ? pair.bob : pair.alice
          guard isFromAlice == ofAlice else {
            peer.receive(datagram.bytes, from: datagram.from, at: pair.now)
            continue
          }
          port += 1
          expected.append(Address(ipv4: 0x0A00_0099, port: port))
          peer.receive(datagram.bytes, from: expected[expected.count - 1], at: pair.now)
        }
        next = pair.intercept()
        // Answers go to where the other was seen last.
        for datagram in next where (datagram.from == pair.alice.address) != ofAlice {
          #expect(datagram.to == expected.last ?? datagram.to)
        }
      }
    }
    deliver()
    #expect(expected.count == 1, "C1 of Bob's, or C2 of Alice's")
    for (peer, id) in [(pair.bob, other), (pair.alice, session)] {
      #expect(peer.rekey(id, at: pair.now))
      next = pair.intercept()
      deliver()
    }
    #expect(pair.alice.state(session) == "S2" && pair.bob.state(other) == "S2")
    #expect(pair.alice.description(session)?.statistics.rekeys == 2 && expected.count == 5)
    #expect(moves(ofAlice ? pair.bob : pair.alice) == expected)
    #expect(moves(ofAlice ? pair.alice : pair.bob) == [])
  }

  // [DEC-31] [KK-9] [KK-17]
  @Test("a control packet that is not the newest, or not authentic, moves nothing")
  func olderControlPackets() throws {
    let pair = try Pair.persistent(provider)
    let (_, other) = try pair.establish()
    // Two K1, of which the second comes first.
    let older = pair.beginRekey(other)
    pair.skip(.seconds(1))
    pair.bob.advance(to: pair.now)
    let newer = pair.intercept()
    #expect(older.count == 1 && newer.count == 1)
    for bit in 0..<newer[0].bytes.count * 8 {
      pair.alice.receive(newer[0].flipped(bit / 8, bit % 8).bytes, from: mallory, at: pair.now)
    }
    pair.deliver(newer[0])
    // It has a counter that was not received before.
    let drops = pair.alice.statistics[.unexpected]
    pair.alice.receive(older[0].bytes, from: mallory, at: pair.now)
    #expect(pair.alice.statistics[.unexpected] == drops + 1)
    for datagram in older + newer { pair.alice.receive(datagram.bytes, from: mallory, at: pair.now) }
    pair.settle()
    #expect(moves(pair.alice) == [] && moves(pair.bob) == [])
    try pair.expectWorking()
  }

  // [DEC-32] [DEC-33] [TIME-4]
  @Test("X1 and X2 move nothing: X3 and the next Hello go where the application said")
  func theBeginning() throws {
    let pair = try Pair(provider: provider)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let response = pair.round(pair.intercept())
    #expect(pair.round(response.from(mallory)).allSatisfy { $0.to == pair.bob.address })
    #expect(pair.alice.state(session) == "A3" && moves(pair.alice) == [])
    pair.skip(.seconds(10))
    pair.alice.advance(to: pair.now)
    #expect(pair.intercept().allSatisfy { $0.to == pair.bob.address } && pair.alice.state(session) == "A1")
  }

  // [DEC-33] [TIME-4]
  @Test("a C1 that was repeated from elsewhere does not take the Hellos of the next attempt with it")
  func restartGoesToTheOpeningAddress() throws {
    let pair = try Pair(provider: provider)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let confirm = pair.round(pair.round(pair.round(pair.intercept())))
    // The swap that C1 leads to fails, so that Alice stays in A3.
    pair.alice.answerStore = { _ in .failed }
    for datagram in confirm { pair.alice.receive(datagram.bytes, from: mallory, at: pair.now) }
    pair.collect()
    #expect(pair.alice.state(session) == "A3" && pair.alice.description(session)?.address == mallory)
    pair.alice.answerStore = nil
    _ = pair.intercept()
    pair.skip(.seconds(10))
    pair.alice.advance(to: pair.now)
    let hello = pair.intercept()
    #expect(!hello.isEmpty && hello.allSatisfy { $0.to == pair.bob.address })
    #expect(moves(pair.alice) == [mallory, pair.bob.address])
  }
}
