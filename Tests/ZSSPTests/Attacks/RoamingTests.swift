// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP
import ZSSPSwiftCrypto

/// A session follows its peer to where its newest authentic data comes from, and nowhere else.
@Suite("Attack: address hijack, and roaming", .serialized)
struct RoamingTests {
  private let provider = SwiftCryptoProvider()
  private let elsewhere = Address(ipv4: 0x0A00_0099, port: 99)

  private func moves(_ peer: TestPeer) -> [Address] {
    peer.events.compactMap { if case .moved(_, _, let address) = $0 { address } else { nil } }
  }

  /// Alice's message on its way to Bob.
  private func message(_ pair: Pair, _ session: SessionID, _ bytes: [UInt8]) throws -> [Datagram] {
    try pair.alice.send(bytes, on: session, at: pair.now)
    return pair.intercept()
  }

  @Test("the newest data moves the session, whole and in fragments", arguments: [3, 5000])
  func newestData(size: Int) throws {
    let pair = try Pair.persistent(provider)
    let (one, other) = try pair.establish()
    let data = try message(pair, one, [UInt8](repeating: 7, count: size))
    for datagram in data.from(elsewhere) { pair.bob.receive(datagram.bytes, from: elsewhere, at: pair.now) }
    pair.collect()
    #expect(moves(pair.bob) == [elsewhere] && pair.bob.messages.count == 1)
    #expect(pair.bob.description(other)?.address == elsewhere)
    try pair.bob.send([9], on: other, at: pair.now)
    #expect(pair.intercept().map(\.to) == [elsewhere])
    // And back, with the next message.
    for datagram in try message(pair, one, [1]) { pair.deliver(datagram) }
    #expect(moves(pair.bob) == [elsewhere, pair.alice.address])
    try pair.expectWorking()
  }

  @Test func replayedDataMovesNothing() throws {
    let pair = try Pair.persistent(provider)
    let (one, other) = try pair.establish()
    let data = try message(pair, one, [1])
    for datagram in data { pair.deliver(datagram) }
    for datagram in data {
      #expect(pair.bob.receive(datagram.bytes, from: mallory, at: pair.now) == .dropped(.replayed))
    }
    #expect(pair.bob.description(other)?.address == pair.alice.address && moves(pair.bob) == [])
    try pair.expectWorking()
  }

  @Test func heldBackDataIsDeliveredAndMovesNothing() throws {
    let pair = try Pair.persistent(provider)
    let (one, other) = try pair.establish()
    let heldBack = try message(pair, one, [1]) + message(pair, one, [UInt8](repeating: 2, count: 5000))
    for datagram in try message(pair, one, [3]) { pair.deliver(datagram) }
    for datagram in heldBack { pair.bob.receive(datagram.bytes, from: mallory, at: pair.now) }
    pair.collect()
    #expect(pair.bob.messages.map(\.bytes.first) == [3, 1, 2], "older, but fresh")
    #expect(pair.bob.description(other)?.address == pair.alice.address && moves(pair.bob) == [])
    try pair.expectWorking()
  }

  @Test func forgedDataMovesNothing() throws {
    let pair = try Pair.persistent(provider)
    let (one, other) = try pair.establish()
    let data = try message(pair, one, [1, 2, 3, 4])[0]
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

  /// All of a handshake and of two re-keys comes from elsewhere, both ways. It is taken, for it is authentic, and the
  /// answers go where the peer was.
  @Test(arguments: [HelloPolicy.allow, .challenge])
  func noHandshakePacketMovesASession(policy: HelloPolicy) throws {
    let pair = try Pair(provider: provider, helloPolicy: policy)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    var next = pair.intercept()
    /// Delivers until nothing comes any more: all but X1, whose source is where Bob answers.
    func deliver(sparing spared: Int) {
      var spared = spared
      while !next.isEmpty {
        for datagram in next {
          #expect(datagram.to == pair.alice.address || datagram.to == pair.bob.address)
          pair.deliver(spared > 0 ? datagram : [datagram].from(mallory)[0])
          spared -= 1
        }
        next = pair.intercept()
      }
    }
    deliver(sparing: 2)
    if policy == .challenge {
      #expect(pair.alice.state(session) == "A1", "the challenge came from elsewhere, too")
      pair.skip(.seconds(1))
      pair.alice.advance(to: pair.now)
      next = pair.intercept()
      deliver(sparing: 2)
    }
    let other = try #require(pair.bob.establishedSession)
    for (peer, id) in [(pair.bob, other), (pair.alice, session)] {
      #expect(pair.alice.state(session) == "S2" && pair.bob.state(other) == "S2")
      #expect(peer.rekey(id, at: pair.now))
      next = pair.intercept()
      deliver(sparing: 0)
    }
    #expect(pair.alice.description(session)?.statistics.rekeys == 2)
    #expect(pair.alice.description(session)?.address == pair.bob.address)
    #expect(pair.bob.description(other)?.address == pair.alice.address)
    #expect(moves(pair.alice) == [] && moves(pair.bob) == [])
    try pair.expectWorking()
  }
}
