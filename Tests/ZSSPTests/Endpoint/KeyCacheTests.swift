// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

@Suite("Expanded keys are kept for the sessions that were used lately", .tags(.fast))
struct KeyCacheTests {
  private static func session(_ index: Int) -> Session {
    let peer = FastCrypto(seed: 1).generateAgreementKey().publicKey
    return Session(
      acceptedFrom: peer, at: Address(ipv4: 1, port: 1), id: SessionID(index: UInt32(index), generation: 1), Settings())
  }

  private let now = Instant.milliseconds(1000)

  private func kept(_ sessions: [Session]) -> [Int] { sessions.indices.filter { sessions[$0].cachePlace.index >= 0 } }

  @Test("never more than the limit, and who was not used since the hand came by goes first")
  func clock() {
    let sessions = (0..<6).map(Self.session)
    var keys = KeyCache(limit: 3, timeout: .seconds(10))
    for session in sessions[0..<3] { keys.use(session, at: now) }
    #expect(kept(sessions) == [0, 1, 2] && keys.count == 3)
    // The hand goes round once, and takes the first.
    keys.use(sessions[3], at: now)
    #expect(kept(sessions) == [1, 2, 3] && keys.count == 3)
    keys.use(sessions[1], at: now)
    keys.use(sessions[4], at: now)
    #expect(kept(sessions) == [1, 3, 4])
    keys.remove(sessions[3])
    #expect(kept(sessions) == [1, 4] && keys.count == 2)
    keys.use(sessions[5], at: now)
    #expect(kept(sessions) == [1, 4, 5] && keys.count == 3)
    for session in sessions { keys.remove(session) }
    #expect(kept(sessions) == [] && keys.count == 0)
    keys.use(sessions[0], at: now)
    #expect(kept(sessions) == [0])
  }

  @Test("as many as is usual for the provider, unless the settings say how many")
  func limit() throws {
    struct Provider: DerivedProvider {
      let base: any CryptoProvider
      let usualExpandedKeys: Int
    }
    for (usual, setting, limit) in [(3, nil, 3), (0, nil, 1), (3, 7, 7)] {
      var settings = Settings()
      settings.expandedKeys = setting
      let provider = Provider(base: FastCrypto(seed: 1), usualExpandedKeys: usual)
      let endpoint = try Endpoint(
        EndpointConfiguration(staticKey: provider.generateAgreementKey(), provider: provider, settings: settings))
      let found = endpoint.memory.keys.limit
      #expect(found == limit)
    }
    #expect(FastCrypto(seed: 1).usualExpandedKeys == 4096)
  }

  @Test("the places agree whatever happens", arguments: [1, 2, 7, 50])
  func random(_ limit: Int) {
    var random = SplitMix64(seed: UInt64(limit))
    let sessions = (0..<20).map(Self.session)
    var keys = KeyCache(limit: limit, timeout: .seconds(10))
    for _ in 0..<5000 {
      let session = sessions[Int(random.next() % 20)]
      if random.next() % 8 == 0 { keys.remove(session) } else { keys.use(session, at: now) }
      let places = sessions.map(\.cachePlace.index).filter { $0 >= 0 }
      guard Set(places).count == places.count, places.count == keys.count, keys.count <= limit,
        places.allSatisfy({ $0 < Int32(keys.count) })
      else {
        Issue.record("\(places) of \(keys.count)")
        return
      }
    }
  }

  @Test("two peers whose keys are given up all the time talk, re-key and send large messages")
  func alwaysGivenUp() throws {
    let watch = KeyWatch()
    var settings = Settings()
    settings.expandedKeys = 1
    let provider = FastCrypto(seed: 0xE)
    // Bob has one place, and every Alice wants it.
    let pair = try Pair(
      provider: provider, settings: settings, providerOfBob: WatchedProvider(base: provider, watch: watch))
    let first = try pair.establish()
    let others = try (0..<3).map { number in
      let configuration = EndpointConfiguration(
        staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow)
      let peer = try TestPeer(configuration, at: Address(ipv4: 0x0A00_0100 + UInt32(number), port: 1))
      let session = try peer.open(to: pair.bob, at: pair.now)
      for _ in 0..<6 { exchange(peer, with: pair.bob, at: pair.now) }
      #expect(peer.state(session) == "S2")
      return (peer: peer, session: session)
    }
    for round in 0..<5 {
      for (peer, session) in others {
        try peer.send([UInt8](repeating: UInt8(round), count: 3000 * round), on: session, at: pair.now)
        exchange(peer, with: pair.bob, at: pair.now)
        #expect(pair.bob.messages.last?.bytes == [UInt8](repeating: UInt8(round), count: 3000 * round))
        // At most two header keys, two packet keys and what is taken in hand.
        #expect(watch.livePacketKeys + watch.liveHeaderKeys <= 4)
      }
      try pair.alice.send([9], on: first.alice, at: pair.now)
      #expect(pair.alice.rekey(first.alice, at: pair.now))
      pair.settle()
      #expect(pair.bob.messages.last?.bytes == [9])
    }
    #expect(pair.alice.chainLength(first.alice) == 6)
  }

  /// Moves what both have to send.
  private func exchange(_ peer: TestPeer, with bob: TestPeer, at now: Instant) {
    for datagram in peer.pump(at: now) { bob.receive(datagram.bytes, from: datagram.from, at: now) }
    for datagram in bob.pump(at: now) where datagram.to == peer.address {
      peer.receive(datagram.bytes, from: datagram.from, at: now)
    }
  }

  @Test("what a stranger sends under a key id of ours, or repeats, takes no place")
  func strangers() throws {
    let watch = KeyWatch()
    var settings = Settings()
    settings.expandedKeys = 1
    let provider = FastCrypto(seed: 0xF)
    let pair = try Pair(
      provider: provider, settings: settings, providerOfBob: WatchedProvider(base: provider, watch: watch))
    let first = try pair.establish()
    try pair.alice.send([1], on: first.alice, at: pair.now)
    let used = pair.intercept()[0]
    pair.deliver(used)
    let configuration = EndpointConfiguration(
      staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow)
    let peer = try TestPeer(configuration, at: Address(ipv4: 0x0A00_0100, port: 1))
    let session = try peer.open(to: pair.bob, at: pair.now)
    for _ in 0..<6 { exchange(peer, with: pair.bob, at: pair.now) }
    // The peer's session has the place.
    try peer.send([2], on: session, at: pair.now)
    exchange(peer, with: pair.bob, at: pair.now)
    var forged = used
    for index in 4..<forged.bytes.count { forged.bytes[index] ^= 0x5A }
    for datagram in [forged, used, forged, used] { pair.deliver(datagram) }
    #expect(pair.bob.statistics[.replayed] == 2)
    // One header key for each of the four, and no other: the place is as it was.
    let made = (watch.made, watch.headerKeysMade)
    try peer.send([3], on: session, at: pair.now)
    exchange(peer, with: pair.bob, at: pair.now)
    #expect(pair.bob.messages.map(\.bytes) == [[1], [2], [3]])
    #expect((watch.made, watch.headerKeysMade) == made)
  }
}
