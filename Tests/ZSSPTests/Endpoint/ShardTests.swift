// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("Shards and nodes in key ids (section 4)", .tags(.fast))
struct ShardTests {
  private let provider = FastCrypto(seed: 0x5A)

  @Test(
    "a shard is one of a power of two",
    arguments: [
      (0, 1, true), (0, 2, true), (1, 2, true), (255, 256, true), (1, 1, false), (2, 2, false), (-1, 2, false),
      (0, 0, false), (0, -4, false), (0, 3, false), (0, 512, false), (0, .min, false), (0, .max, false),
    ])
  func shards(_ index: Int, _ count: Int, _ isValid: Bool) {
    var settings = Settings()
    settings.shard = Shard(index, of: count)
    check(settings, expected: isValid ? nil : .shardOutOfRange(settings.shard))
  }

  // [DEC-21]
  @Test(
    "a node fits into its bits, and these leave enough to chance",
    arguments: [
      (0, 0, 1, true), (1, 0, 1, false), (-1, 4, 1, false), (15, 4, 1, true), (16, 4, 1, false), (65_535, 16, 1, true),
      (0, 17, 1, false), (0, -1, 1, false), (255, 8, 256, true), (0, 9, 256, false), (0, .max, 2, false),
      (.max, 16, 1, false),
    ])
  func nodes(_ node: Int, _ bits: Int, _ shards: Int, _ isValid: Bool) {
    var settings = Settings()
    settings.node = node
    settings.nodeBits = bits
    settings.shard = Shard(0, of: shards)
    check(settings, expected: isValid ? nil : .nodeOutOfRange(node: node, nodeBits: bits, shard: settings.shard))
  }

  private func check(_ settings: Settings, expected: ConfigurationError?) {
    do throws(ConfigurationError) {
      try settings.validate()
      #expect(expected == nil)
    } catch {
      #expect(error == expected)
    }
  }

  // [DEC-21] [KID-3]
  /// The test does what a classic BPF program does, and a load balancer that looks at the first
  /// byte.
  @Test("who handed out a key id is seen in the first four bytes of each datagram for it", arguments: [0, 5, 7])
  func steering(_ index: Int) throws {
    var settings = Settings()
    settings.shard = Shard(index, of: 8)
    settings.nodeBits = 8
    settings.node = 0xC3
    settings.rekeyBurst = 20
    let pair = try Pair(provider: provider, settings: settings)
    let one = try pair.alice.open(to: pair.bob, at: pair.now)
    var seen = 0
    func step() {
      while let datagram = pair.deliverOne() {
        let word = datagram.bytes[0..<4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard word != 0 else { continue }
        #expect(word & (8 - 1) == UInt32(index) && datagram.bytes[0] == 0xC3)
        seen += 1
      }
    }
    step()
    for _ in 0..<20 {
      #expect(pair.alice.rekey(one, at: pair.now))
      step()
    }
    #expect(seen > 80)
    #expect(pair.alice.description(one)?.statistics.rekeys == 20)
  }

  @Test("a datagram names its shard and its node")
  func reading() {
    let datagram: [UInt8] = [0xAB, 0xCD, 0, 0xFE, 9]
    let keyID = datagram.withKeyID { $0 }
    #expect(keyID == KeyID(value: 0xABCD_00FE))
    #expect(keyID?.shard(of: 1) == 0 && keyID?.shard(of: 2) == 0 && keyID?.shard(of: 4) == 2)
    #expect(keyID?.shard(of: 256) == 0xFE)
    #expect(keyID?.node(bits: 0) == 0 && keyID?.node(bits: 8) == 0xAB && keyID?.node(bits: 16) == 0xABCD)
    #expect([0xAB, 0xCD, 0].withKeyID { $0 } == nil && [].withKeyID { $0 } == nil)
  }

  @Test("a challenge is for the key id behind its header, a Hello for nobody")
  func addressees() {
    func datagram(_ keyID: [UInt8], type: PacketType) -> [UInt8] {
      keyID + [0, 1, 0, type.rawValue] + [UInt8](repeating: 0, count: 8) + [1, 2, 3, 4]
        + [UInt8](repeating: 9, count: 12)
    }
    func addressee(_ bytes: [UInt8]) -> KeyID? { KeyID(addressee: bytes.rawBytes) }
    #expect(addressee(datagram([0, 0, 0, 0], type: .challenge)) == KeyID(value: 0x0102_0304))
    #expect(addressee(datagram([0, 0, 0, 0], type: .hello)) == nil)
    #expect(addressee(datagram([0, 0, 0, 7], type: .challenge)) == KeyID(value: 7))
    #expect(addressee(Array(datagram([0, 0, 0, 7], type: .data).dropLast())) == nil)
  }

  // [KID-1]
  @Test("with all fixed bits 0 no key id is 0, and the other bits are random")
  func randomness() throws {
    var settings = Settings()
    settings.shard = Shard(0, of: 256)
    settings.nodeBits = 8
    let provider = provider
    var table = KeyIDTable(KeyIDPattern(settings))
    let owner = HalfOpenHandshake(address: Address(ipv4: 1, port: 1), settings: settings, at: .milliseconds(0))
    let ids = (0..<2000).map { _ in
      let keyID = table.draw(for: .halfOpen(owner), provider)
      table.remove(keyID)
      return keyID.value
    }
    #expect(ids.allSatisfy { $0 != 0 && $0 & 0xFF00_00FF == 0 })
    // Of 65,535 ids 2,000 draws meet about 1,970.
    #expect(Set(ids).count > 1900)
    #expect(ids.reduce(0, |) == 0x00FF_FF00 && ids.reduce(.max, &) == 0)
  }

  // [KID-2]
  @Test("a key id that is in use is not drawn again")
  func unused() throws {
    var settings = Settings()
    settings.nodeBits = 16
    let provider = provider
    var table = KeyIDTable(KeyIDPattern(settings))
    let owner = HalfOpenHandshake(address: Address(ipv4: 1, port: 1), settings: settings, at: .milliseconds(0))
    var ids: Set<UInt32> = []
    // 10,000 of 65,535 ids: if those in use could be drawn, about 700 would be.
    for _ in 0..<10_000 {
      ids.insert(table.draw(for: .halfOpen(owner), provider).value)
    }
    #expect(ids.count == 10_000)
  }

  // [DEC-22]
  /// Otherwise an endpoint with few ids to give would look for a free one for ever.
  @Test("no more sessions and handshakes than there are key ids for")
  func tooMany() throws {
    var settings = Settings()
    settings.nodeBits = 16
    let provider = provider
    let address = Address(ipv4: 1, port: 1)
    let now = Instant.milliseconds(1000)
    let limit = 8192
    func make() throws -> Endpoint {
      try Endpoint(
        EndpointConfiguration(
          staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow, settings: settings))
    }
    var endpoint = try make()
    var stranger = try make()
    let peer = stranger.publicKey
    for _ in 0..<limit { _ = try endpoint.open(to: peer, at: address, now: now) }
    #expect(throws: OpenError.tooManySessions(limit: limit)) {
      _ = try endpoint.open(to: peer, at: address, now: now)
    }
    #expect(OpenError.tooManySessions(limit: limit).description.contains("8192"))
    _ = try stranger.open(to: endpoint.publicKey, at: address, now: now)
    while let request = stranger.nextRequest() {
      if case .store(let id, _) = request { stranger.answer(id, store: .pair(.empty), at: now) }
      if case .work(let work) = request { stranger.complete(work.run(), at: now) }
    }
    for datagram in stranger.outbox.datagrams {
      var bytes = datagram
      _ = bytes.withMutableBytes { endpoint.receive(&$0, from: address, at: now) }
    }
    #expect(endpoint.statistics[.busy] == 1 && endpoint.halfOpenCount == 0 && endpoint.sessionCount == limit)
  }
}

extension [UInt8] {
  fileprivate func withKeyID(_ body: (KeyID?) -> KeyID?) -> KeyID? { body(KeyID(datagram: rawBytes)) }
}
