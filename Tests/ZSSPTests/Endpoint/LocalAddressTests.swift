// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

/// An endpoint with several addresses answers from the address that a datagram was sent to.
@Suite("The address that was asked", .tags(.fast))
struct LocalAddressTests {
  private let provider = FastCrypto(seed: 86)

  private func moves(_ peer: TestPeer) -> Int {
    peer.events.count { if case .moved = $0 { true } else { false } }
  }

  /// Delivers datagrams as if they had come to an address of the receiver with a number, and
  /// returns what comes of it.
  private func deliver(_ datagrams: [Datagram], at index: UInt8, to pair: Pair) -> [Datagram] {
    for datagram in datagrams {
      let receiver = datagram.to == pair.alice.address ? pair.alice : pair.bob
      receiver.receive(datagram.bytes, from: datagram.from.reached(at: index), at: pair.now)
    }
    return pair.intercept()
  }

  // [DEC-86]
  @Test("a number of an address is no part of what is compared") func comparison() {
    let one = Address(ipv4: 1, port: 2)
    let other = one.reached(at: 3)
    #expect(one == other && one.hashValue == other.hashValue && one.bytes == other.bytes)
    #expect(!one.isSamePath(as: other) && one.isSamePath(as: other.reached(at: 0)))
    #expect(!other.isSamePath(as: Address(ipv4: 1, port: 3).reached(at: 3)))
  }

  // [DEC-86]
  @Test("X2, C1, challenges and data leave from where X1, X3 and data came to") func answers() throws {
    let pair = try Pair(provider: provider)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let hello = pair.intercept()
    #expect(hello.allSatisfy { $0.to.localIndex == 0 })
    let response = deliver(hello, at: 1, to: pair)
    #expect(!response.isEmpty && response.allSatisfy { $0.to.localIndex == 1 })
    // Alice's own address is chosen by her system, whichever X2 came to.
    let completion = deliver(response, at: 5, to: pair)
    #expect(!completion.isEmpty && completion.allSatisfy { $0.to.localIndex == 0 })
    let confirmation = deliver(completion, at: 2, to: pair)
    #expect(!confirmation.isEmpty && confirmation.allSatisfy { $0.to.localIndex == 2 })
    let acknowledgement = deliver(confirmation, at: 5, to: pair)
    #expect(acknowledgement.allSatisfy { $0.to.localIndex == 0 })
    _ = deliver(acknowledgement, at: 2, to: pair)
    let other = try #require(pair.bob.establishedSession)
    #expect(pair.alice.state(session) == "S2" && pair.bob.state(other) == "S2")

    try pair.bob.send([1], on: other, at: pair.now)
    #expect(pair.intercept().map(\.to.localIndex) == [2])
    // The newest packet says where, in silence, whole and in fragments; an older one says nothing.
    try pair.alice.send([2], on: session, at: pair.now)
    let late = pair.intercept()
    for size in [3, 5000] {
      try pair.alice.send([UInt8](repeating: 3, count: size), on: session, at: pair.now)
      _ = deliver(pair.intercept(), at: UInt8(size % 251), to: pair)
      #expect(pair.bob.peerAddress(other)?.localIndex == UInt8(size % 251))
    }
    _ = deliver(late, at: 7, to: pair)
    #expect(pair.bob.peerAddress(other)?.localIndex == UInt8(5000 % 251))
    #expect(moves(pair.bob) == 0 && pair.bob.messages.count == 3)
    // Alice's session is moved by another address of Bob's, not by one of her own.
    try pair.bob.send([4], on: other, at: pair.now)
    for datagram in pair.intercept() {
      pair.alice.receive(datagram.bytes, from: Address(ipv4: 9, port: 9).reached(at: 6), at: pair.now)
    }
    pair.collect()
    #expect(moves(pair.alice) == 1 && pair.alice.peerAddress(session)?.localIndex == 0)
  }

  // [DEC-86]
  @Test("numbers are in use as long as something can be sent from there") func numbersInUse() throws {
    let pair = try Pair(provider: provider)
    func inUse() -> [Int] { pair.bob.localIndexesInUse().indices.filter { $0 > 0 && pair.bob.localIndexesInUse()[$0] } }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    // The half-open handshake has X1's, and the session X3's and then that of the newest packet.
    let response = deliver(pair.intercept(), at: 1, to: pair)
    #expect(inUse() == [1])
    let confirmation = deliver(deliver(response, at: 5, to: pair), at: 2, to: pair)
    #expect(inUse() == [2])
    _ = deliver(deliver(confirmation, at: 5, to: pair), at: 3, to: pair)
    try pair.alice.send([1], on: session, at: pair.now)
    _ = deliver(pair.intercept(), at: 4, to: pair)
    #expect(inUse() == [4])
    let other = try #require(pair.bob.establishedSession)
    pair.bob.close(other)
    _ = pair.intercept()
    #expect(inUse() == [])
  }

  // [DEC-86]
  @Test("a Hello that waits, and what was not sent yet, have their numbers") func numbersInWaiting() throws {
    var queue = HelloQueue(patience: .seconds(10))
    _ = queue.append([1], from: Address(ipv4: 1, port: 1).reached(at: 9), at: Instant(nanoseconds: 0))
    #expect(queue.sources.map(\.localIndex) == [9])
    let pair = try Pair(provider: provider, helloPolicy: .challenge)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    for datagram in pair.intercept() {
      pair.bob.receive(datagram.bytes, from: datagram.from.reached(at: 6), at: pair.now)
    }
    #expect(pair.bob.localIndexesInUse()[6])
  }

  // [DEC-86]
  @Test("a challenge leaves from where the Hello came to") func challenge() throws {
    let pair = try Pair(provider: provider, helloPolicy: .challenge)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    let challenge = deliver(pair.intercept(), at: 4, to: pair)
    #expect(challenge.map(\.to.localIndex) == [4])
    // And is answered at any.
    pair.alice.receive(challenge[0].bytes, from: pair.bob.address, at: pair.now)
    pair.collect()
    pair.skip(.seconds(1))
    pair.alice.advance(to: pair.now)
    #expect(deliver(pair.intercept(), at: 8, to: pair).count == 2)
  }

  // [DEC-86]
  @Test("a stranger's datagram changes no path") func strangers() throws {
    let pair = try Pair(provider: provider)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    let other = try #require(pair.bob.establishedSession)
    try pair.alice.send([1], on: session, at: pair.now)
    var forged = pair.intercept()[0]
    forged.bytes[forged.bytes.count - 1] ^= 1
    _ = deliver([forged], at: 3, to: pair)
    #expect(pair.bob.peerAddress(other)?.localIndex == 0)
  }
}
