// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPRandom

/// Datagrams that nobody sent, at every step of a handshake: nothing traps, nothing grows, every
/// one is counted, and the session in progress still completes.
@Suite("Hostile datagrams", .tags(.slow))
struct HostileDatagramTests {
  /// A dropped datagram does not come as far as a provider, so one provider shows it.
  private static let garbageProviders = TestSelection.isAll ? providers : Array(providers.prefix(1))

  // [FRAG-17] [HDR-2]
  @Test(
    "Zeros, ones and random bytes of every length from 0 to 2,000", arguments: garbageProviders, Scene.Step.allCases)
  func garbage(provider: any CryptoProvider, step: Scene.Step) throws {
    let scene = try Scene(step, provider: provider)
    var random = SplitMix64(seed: 0x5A53_5350)
    let before = scene.pair.bob.statistics.dropped
    let held = [scene.pair.alice.diagnostics, scene.pair.bob.diagnostics]
    for length in 0...2000 {
      scene.attack([UInt8](repeating: 0, count: length))
      scene.attack([UInt8](repeating: 0xFF, count: length))
      scene.attack((0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    }
    // Not one of them is worth anything to an endpoint.
    #expect(scene.pair.bob.statistics.dropped - before == 3 * 2001)
    #expect([scene.pair.alice.diagnostics, scene.pair.bob.diagnostics] == held)
    scene.expectBounds()
    try scene.expectCompletion()
  }

  // [FRAG-7] [TIME-10]
  /// Every change is made in the scene as it should be: one that a change has moved is completed,
  /// and made again. What each costs is worked off before the next comes.
  @Test(
    "Every truncation and single-bit flip of each packet of a handshake and a re-key, in every state",
    .long, arguments: scenes)
  func mutations(step: Scene.Step, mtu: Int) throws {
    let seed = UInt64(mtu)
    let packets = try Scene(.rekeyAcknowledge, provider: FastCrypto(seed: seed), mtu: mtu).packets
    #expect(packets.count == Packet.allCases.count)
    var scene = try Scene(step, provider: FastCrypto(seed: seed), mtu: mtu)
    var footing = scene.footing
    var mutations = 0
    var rounds = 0
    for (packet, datagrams) in zip(Packet.allCases, packets) {
      for place in datagrams.indices {
        for mutation in Mutation.all(size: datagrams[place].bytes.count) {
          let before = scene.pair.alice.statistics.publicKeyWork + scene.pair.bob.statistics.publicKeyWork
          for (index, datagram) in datagrams.enumerated() {
            scene.attack(index == place ? mutation.apply(to: datagram.bytes) : datagram.bytes)
          }
          scene.pump()
          mutations += 1
          let size = datagrams[place].bytes.count
          let isLast = place == datagrams.count - 1
          if let byte = mutation.flippedByte, packet.reachesNoise(byte, size: size, isLast: isLast, at: step) {
            let work = scene.pair.alice.statistics.publicKeyWork + scene.pair.bob.statistics.publicKeyWork - before
            #expect(work > 0, "a flip in byte \(byte) of \(packet) was to be found by Noise")
          }
          let isMoved = !scene.isIntact || scene.footing != footing
          guard isMoved || scene.hasParts else { continue }
          #expect(!isMoved || packet.movesScene(step), "\(packet) \(mutation) moved \(step)")
          scene.expectBounds()
          // Of the sample, every fourth.
          if Mutation.isFull || rounds % 4 == 0 { try scene.expectCompletion() }
          scene = try Scene(step, provider: FastCrypto(seed: seed), mtu: mtu)
          footing = scene.footing
          rounds += 1
        }
      }
    }
    scene.expectBounds()
    try scene.expectCompletion()
    #expect(mutations > 1000)
    print("hostile \(step), MTU \(mtu): \(mutations) changes, \(rounds) of which moved the scene")
  }

  /// X1 and X2 in one fragment, so that a flip in any byte comes as far as it can; and in two,
  /// which makes a difference up to X3 only, and is left at that in the sample.
  private static let scenes: [(Scene.Step, Int)] = Scene.Step.allCases.flatMap { step in
    (Mutation.isFull || step.rawValue <= Scene.Step.completion.rawValue ? [1400, 9000] : [9000]).map { (step, $0) }
  }

  /// The packets of ``Scene/Step/rekeyAcknowledge``, in order.
  private enum Packet: CaseIterable {
    case hello, response, completion, keyConfirm, acknowledge, rekeyInit, rekeyComplete, newKeyConfirm, newAcknowledge

    /// Returns true if a change to this packet may move the scene: X1 makes a half-open handshake
    /// if the changed bytes mean nothing; X2 and X3 are accepted once, or fail as section 11 says.
    /// A change to another packet changes nothing.
    func movesScene(_ step: Scene.Step) -> Bool {
      switch self {
      case .hello: true
      case .response: step.states.alice == "A1"
      case .completion: step.isHalfOpen
      default: false
      }
    }

    /// Returns true if a flip in this byte of a fragment of the packet must cost public-key work,
    /// because no earlier check finds it. Earlier checks find changes to headers, and to the end of
    /// the packet, which the header's counter repeats. The challenge response of X1 comes after
    /// that end.
    func reachesNoise(_ byte: Int, size: Int, isLast: Bool, at step: Scene.Step) -> Bool {
      switch self {
      case .hello: 16..<(isLast ? size - PacketSize.challenge - 8 : size) ~= byte
      case .response: step.states.alice == "A1" && 20..<(isLast ? size - 3 : size) ~= byte
      case .completion: step.isHalfOpen && 20..<size ~= byte
      // Their outer seal is what a flip breaks; Noise inside them is for the peer only.
      default: false
      }
    }
  }

  // [PRIM-7] [XK-9]
  @Test("A forged Hello costs one item of work and leaves nothing behind", arguments: providers)
  func forgedHello(provider: any CryptoProvider) throws {
    let scene = try Scene(.hello, provider: provider, mtu: 9000)
    var hello = try #require(scene.datagrams.first).bytes
    hello[FragmentOffset.ephemeral + 10] ^= 1
    let bob = scene.pair.bob
    bob.receive(hello, from: scene.pair.alice.address, at: scene.pair.now)
    #expect(bob.halfOpenCount == 1)
    #expect(bob.pump(at: scene.pair.now).isEmpty)
    #expect(bob.halfOpenCount == 0 && bob.statistics[.notAuthentic] == 1 && bob.statistics.publicKeyWork == 1)
  }

  // [FRAG-12] [TIME-3]
  @Test("Half-open handshakes are bounded, and the oldest makes room", arguments: providers)
  func halfOpenBound(provider: any CryptoProvider) throws {
    var settings = Settings()
    settings.halfOpenLimit = 32
    let pair = try Pair(provider: provider, settings: settings)
    for _ in 0..<40 {
      let session = try pair.alice.open(to: pair.bob, at: pair.now)
      for datagram in pair.intercept() { pair.deliver(datagram) }
      pair.alice.close(session)
      _ = pair.intercept()
    }
    #expect(pair.bob.halfOpenCount == 32)
    #expect(pair.bob.statistics[.evicted] == 8)
    pair.run(for: .seconds(10))
    #expect(pair.bob.halfOpenCount == 0)
  }

  /// Offsets into X1 of a single fragment.
  private enum FragmentOffset {
    static let ephemeral = 16 + 4
  }
}
