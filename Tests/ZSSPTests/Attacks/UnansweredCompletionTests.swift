// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// Both sides open at once, and the X3 of the preferred side, the one with the smaller key, does
/// not arrive: it is larger than the path allows, say. The other side's does (section 14).
@Suite("An X3 that never arrives", .tags(.fast))
struct UnansweredCompletionTests {
  /// Alice, whose key is the smaller, in one shard or two, and Bob.
  private final class World {
    private let directory = PeerDirectory()
    /// Alice's shards. The first opens; Bob's Hellos come to the last.
    let shards: [TestPeer]
    let bob: TestPeer
    private(set) var now = Instant.milliseconds(1_000)
    /// Returns true if a datagram of Alice's arrives.
    var arrives: (Datagram) -> Bool = { _ in true }
    /// The datagrams that have left Bob's endpoint and are held back; nil if none are.
    var held: [Datagram]?

    init(shards count: Int, seed: UInt64) throws {
      let provider = FastCrypto(seed: seed)
      let keys = [provider.generateAgreementKey(), provider.generateAgreementKey()]
        .sorted { $0.publicKey < $1.publicKey }
      var own = EndpointConfiguration(staticKey: keys[0], provider: provider, helloPolicy: .allow)
      own.directory = directory
      shards = try (0..<count).map { index in
        own.settings.shard = Shard(index, of: count)
        return try TestPeer(own, at: Address(ipv4: 0x0A00_0001, port: 1111))
      }
      for shard in shards.dropFirst() {
        shard.answerStore = { [first = shards[0]] request in first.store.answer(request) }
      }
      bob = try TestPeer(
        EndpointConfiguration(staticKey: keys[1], provider: provider, helloPolicy: .allow),
        at: Address(ipv4: 0x0A00_0002, port: 2222))
    }

    var alice: TestPeer { shards[0] }

    /// The shard that a datagram of Bob's is for.
    private func addressee(of datagram: Datagram) -> TestPeer {
      let keyID = datagram.bytes.prefix(4)
      return keyID.allSatisfy { $0 == 0 } ? shards[shards.count - 1] : shards[Int(keyID[3]) & (shards.count - 1)]
    }

    func deliver(_ datagram: Datagram) {
      addressee(of: datagram).receive(datagram.bytes, from: datagram.from, at: now)
    }

    /// Executes events as a transport does: a session ends older ones in other shards.
    private func pumpShards() -> [Datagram] {
      shards.indices.flatMap { index in
        let shard = shards[index]
        let before = shards[index].events.count
        let sent = shard.pump(at: now)
        for case .established(let id, _) in shard.events.dropFirst(before) {
          let place = PeerDirectory.Place(shard: index, session: id)
          for older in directory.establish(place, with: bob.publicKey) where older.shard != index {
            shards[older.shard].close(older.session)
          }
        }
        return sent
      }
    }

    private func settle() {
      while true {
        let fromAlice = pumpShards()
        let fromBob = bob.pump(at: now)
        if fromAlice.isEmpty, fromBob.isEmpty { return }
        for datagram in fromAlice where arrives(datagram) { bob.receive(datagram.bytes, from: datagram.from, at: now) }
        if held == nil { for datagram in fromBob { deliver(datagram) } } else { held? += fromBob }
      }
    }

    func run(for duration: Duration) {
      let end = now.advanced(by: duration)
      settle()
      while let deadline = (shards + [bob]).compactMap(\.nextDeadline).min(), deadline <= end {
        now = max(now, deadline)
        for peer in shards + [bob] { peer.advance(to: now) }
        settle()
      }
      now = end
    }

    /// Both open, Alice with an X3 of three full fragments.
    func bothOpen() throws {
      _ = try alice.open(to: bob, identity: [UInt8](repeating: 7, count: 4000), at: now)
      _ = try bob.open(to: alice, at: now)
    }

    /// The numbers of sessions that are confirmed on both sides.
    var confirmed: (alice: Int, bob: Int) {
      func count(_ peer: TestPeer, with other: PublicKey) -> Int {
        peer.sessions(with: other).count { peer.state($0) == "S2" }
      }
      return (shards.reduce(0) { $0 + count($1, with: bob.publicKey) }, count(bob, with: alice.publicKey))
    }

    var sessionCount: Int { shards.reduce(0) { $0 + $1.sessionCount } }
  }

  private func isLarge(_ datagram: Datagram) -> Bool { datagram.bytes.count > 1_000 }

  // [DEC-77]
  @Test(
    "from the second attempt on the preferred side takes the other's", arguments: [1, 2], 1...4 as ClosedRange<UInt64>)
  func largeCompletion(shards: Int, seed: UInt64) throws {
    let world = try World(shards: shards, seed: seed)
    world.arrives = { !isLarge($0) }
    try world.bothOpen()
    // The first X3 has the whole of A3.
    world.run(for: .seconds(9))
    #expect(world.confirmed == (0, 0))
    world.run(for: .seconds(11))
    #expect(world.confirmed == (1, 1))
    #expect(world.bob.sessionCount == 1 && world.alice.downgrades + world.bob.downgrades == 0)
    #expect(world.bob.endReasons == [])
    let pairs = [
      world.alice.store.pairs[world.bob.publicKey], world.bob.store.pairs[world.alice.publicKey],
    ]
    #expect(pairs[0] != nil && pairs[0] == pairs[1])
  }

  /// The lost packets arrive again. Neither side accepts the other's X3 while its own is accepted,
  /// which would leave each with a session that the other does not have.
  @Test(
    "where the X3 of the next attempt arrives, one session comes of the two attempts", arguments: [1, 2],
    1...8 as ClosedRange<UInt64>)
  func laterCompletion(shards: Int, seed: UInt64) throws {
    let world = try World(shards: shards, seed: seed)
    world.arrives = { !isLarge($0) }
    try world.bothOpen()
    // Alice's second X3 has been sent for so long when the path is good again.
    world.run(for: .milliseconds(10_000 + 400 * Int64(seed)))
    world.arrives = { _ in true }
    world.run(for: .seconds(5))
    #expect(world.confirmed == (1, 1) && world.bob.sessionCount == 1)
    #expect(world.bob.endReasons == [] && world.alice.downgrades + world.bob.downgrades == 0)
    world.run(for: .seconds(120))
    #expect(world.confirmed == (1, 1) && world.bob.sessionCount == 1 && world.sessionCount == 1)
  }

  /// Bob's X3 is held back while Alice's second attempt leads to a session.
  @Test(
    "an X3 that comes when the second attempt has led to a session does not replace it", arguments: [1, 2],
    [0, 4_000, 9_000])
  func lateCompletion(shards: Int, milliseconds: Int64) throws {
    let world = try World(shards: shards, seed: UInt64(shards))
    world.arrives = { !isLarge($0) }
    try world.bothOpen()
    world.run(for: .milliseconds(10_500))
    world.held = []
    world.run(for: .milliseconds(1_000))
    let held = try #require(world.held)
    #expect(!held.isEmpty)
    world.held = nil
    world.arrives = { _ in true }
    world.run(for: .milliseconds(1_500 + milliseconds))
    #expect(world.confirmed == (1, 1))
    let session = world.bob.establishedSession
    let marks = world.bob.events.count
    for datagram in held { world.deliver(datagram) }
    world.run(for: .seconds(5))
    #expect(world.confirmed == (1, 1) && world.bob.establishedSession == session)
    #expect(world.bob.events.count == marks && world.alice.downgrades + world.bob.downgrades == 0)
  }
}
