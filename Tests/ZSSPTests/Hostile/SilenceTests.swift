// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPRandom

/// A responder with π1 answers nothing to whoever does not bring a ratchet state that it knows
/// (section 10): not one datagram, whatever comes.
@Suite("A persistent responder is silent to strangers", .tags(.fast))
struct SilenceTests {
  private let provider = FastCrypto(seed: 0x51)

  /// Bob, who knows Alice by a one-time password, and everything that strangers could have.
  private struct Stage {
    let bob: TestPeer
    var now = Instant.milliseconds(1_000)
    private(set) var fed = 0

    init(_ bob: TestPeer) { self.bob = bob }

    /// Hands something to Bob and lets him do all that he wants to do about it.
    mutating func feed(_ bytes: [UInt8], from source: Address = mallory) {
      bob.receive(bytes, from: source, at: now)
      fed += 1
      let sent = bob.pump(at: now)
      #expect(sent.isEmpty, "\(sent.count) datagrams answer \(bytes.count) bytes")
    }

    /// The timers of everything that is left come, too.
    mutating func expectSilence(sourceLocation: SourceLocation = #_sourceLocation) {
      for _ in 0..<130 {
        now = now.advanced(by: .seconds(1))
        bob.advance(to: now)
        #expect(bob.pump(at: now).isEmpty, sourceLocation: sourceLocation)
      }
      #expect(bob.statistics.datagramsSent == 0 && bob.statistics.bytesSent == 0, sourceLocation: sourceLocation)
      #expect(bob.statistics.datagramsReceived == UInt64(fed) && fed > 0, sourceLocation: sourceLocation)
      #expect(bob.sessionCount == 0 && bob.halfOpenCount == 0, sourceLocation: sourceLocation)
    }
  }

  private func pair(_ policy: HelloPolicy, mtu: Int = 9000) throws -> Pair {
    var settings = Settings()
    settings.mtu = mtu
    settings.handshakeMTU = mtu
    return try Pair.persistent(provider, settings: settings, helloPolicy: policy)
  }

  /// Every packet type between two others, in order.
  private func strangers(mtu: Int) throws -> (pair: Pair, datagrams: [Datagram]) {
    let scene = try Scene(.hello, provider: FastCrypto(seed: 0x52), mtu: mtu)
    var all: [Datagram] = []
    var next = scene.datagrams
    while !next.isEmpty {
      all += next
      next = scene.pair.round(next)
    }
    let session = try #require(scene.pair.bob.establishedSession)
    next = scene.pair.beginRekey(session)
    while !next.isEmpty {
      all += next
      next = scene.pair.round(next)
    }
    return (scene.pair, all)
  }

  private static let policies: [HelloPolicy] = [.allow, .automatic()]

  @Test("zeros, ones and random bytes of every length from 0 to 2,000", .long, arguments: policies)
  func garbage(policy: HelloPolicy) throws {
    var stage = Stage(try pair(policy).bob)
    var random = SplitMix64(seed: 0x5A53_5350)
    for length in 0...2000 {
      stage.feed([UInt8](repeating: 0, count: length))
      stage.feed([UInt8](repeating: 0xFF, count: length))
      stage.feed(random.bytes(length))
      // And with a header that a Hello has.
      if length >= 16 { stage.feed([0, 0, 0, 0, 0, 1, 0, 0] + random.bytes(length - 8)) }
    }
    stage.expectSilence()
  }

  @Test("what others say to each other, repeated, shortened and changed", arguments: [1400, 9000])
  func othersTalk(mtu: Int) throws {
    let (_, datagrams) = try strangers(mtu: mtu)
    var stage = Stage(try pair(.allow, mtu: mtu).bob)
    for datagram in datagrams {
      stage.feed(datagram.bytes)
      stage.feed(datagram.bytes, from: datagram.from)
      for length in 0..<datagram.bytes.count { stage.feed(Array(datagram.bytes.prefix(length))) }
      for index in datagram.bytes.indices { stage.feed(datagram.flipped(index, index * 5 % 8).bytes) }
    }
    stage.expectSilence()
  }

  // [MODE-1] [XK-12]
  /// Hellos to Bob himself, who can read them, from someone whom he does not know.
  @Test("a stranger's Hello, repeated, shortened and changed", arguments: policies, [1400, 9000])
  func strangersHello(policy: HelloPolicy, mtu: Int) throws {
    let pair = try pair(policy, mtu: mtu)
    let carol = try TestPeer(
      EndpointConfiguration(
        staticKey: provider.generateAgreementKey(), provider: provider, settings: pair.bob.configuration.settings),
      at: mallory)
    var stage = Stage(pair.bob)
    _ = try carol.open(to: pair.bob, at: stage.now)
    let hello = carol.pump(at: stage.now)
    for _ in 0..<100 { for fragment in hello { stage.feed(fragment.bytes) } }
    for (place, fragment) in hello.enumerated() {
      for index in fragment.bytes.indices {
        for (other, rest) in hello.enumerated() {
          stage.feed(other == place ? fragment.flipped(index, index * 3 % 8).bytes : rest.bytes)
        }
        stage.feed(Array(fragment.bytes.prefix(index)))
      }
      stage.now = stage.now.advanced(by: .seconds(1))
    }
    #expect(pair.bob.statistics[.unknownRatchet] > 0 && pair.bob.statistics.publicKeyWork > 0)
    #expect(policy == .allow || pair.bob.statistics[.busy] > 0, "while one from her address waits")
    stage.expectSilence()
  }

  /// Alice's Hello is recognised, and so answered, only as she said it. The reserved byte of a
  /// Hello's header and her proof of work are not authenticated, and mean nothing here.
  @Test("a known peer's Hello, shortened and changed")
  func knownPeersHello() throws {
    let pair = try pair(.allow)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    let hello = pair.intercept()[0]
    var stage = Stage(pair.bob)
    let authenticated = 16 + PacketSize.helloWithoutChallenge
    for index in 0..<authenticated where index != 6 {
      stage.feed(hello.flipped(index, index % 8).bytes)
    }
    for length in 0..<hello.bytes.count { stage.feed(Array(hello.bytes.prefix(length))) }
    #expect(pair.bob.statistics[.notAuthentic] > 1000)
    stage.expectSilence()
    // As she said it, it is answered: what was silent was not deaf.
    #expect(!pair.round([hello]).isEmpty)
  }

  /// Hellos that pass every check that costs nothing, from as many hosts as there are Hellos.
  @Test("forged Hellos, within the budget and over it", arguments: policies)
  func forgedHellos(policy: HelloPolicy) throws {
    var stage = Stage(try pair(policy).bob)
    var random = SplitMix64(seed: 0xF1)
    for host in 0..<2000 as Range<UInt32> {
      stage.feed(Self.forgedHello(&random), from: Address(ipv4: 0xD000_0000 + host, port: 6666))
      if host % 20 == 0 { stage.now = stage.now.advanced(by: .milliseconds(10)) }
    }
    let bob = stage.bob.statistics
    #expect(bob[.notAuthentic] > 0 && (policy == .allow) == (bob[.overBudget] == 0))
    stage.expectSilence()
  }

  /// Returns a Hello of the right size, with the counter that its end demands, and a point of the
  /// toy group.
  static func forgedHello(_ random: inout SplitMix64) -> [UInt8] {
    var body = random.bytes(PacketSize.helloWithoutChallenge) + [UInt8](repeating: 0, count: 24) + random.bytes(8)
    body[4] = 2
    body[45] &= 0x0F
    let counter = body[PacketSize.helloWithoutChallenge - 8..<PacketSize.helloWithoutChallenge]
    return [0, 0, 0, 0, 0, 1, 0, 0] + counter + body
  }
}
