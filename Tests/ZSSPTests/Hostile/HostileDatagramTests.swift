// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP

/// Datagrams that nobody sent, at every step of a handshake: nothing traps, nothing grows, every one is counted, and the
/// session in progress still completes.
@Suite("Hostile datagrams")
struct HostileDatagramTests {
  @Test("Zeros, ones and random bytes of every length from 0 to 2,000", arguments: providers, Scene.Step.allCases)
  func garbage(provider: any CryptoProvider, step: Scene.Step) throws {
    let scene = try Scene(step, provider)
    var random = SplitMix64(seed: 0x5A53_5350)
    let before = scene.pair.bob.statistics.dropped
    for length in 0...2000 {
      scene.attack([UInt8](repeating: 0, count: length))
      scene.attack([UInt8](repeating: 0xFF, count: length))
      scene.attack((0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    }
    // Not one of them is worth anything to an endpoint.
    #expect(scene.pair.bob.statistics.dropped - before == 3 * 2001)
    scene.expectBounds()
    try scene.expectCompletion()
  }

  @Test("Every truncation and single-bit flip of each handshake datagram", arguments: providers, Scene.Step.allCases)
  func mutations(provider: any CryptoProvider, step: Scene.Step) throws {
    let originals = try Self.handshake(provider, mtu: 1400)
    let scene = try Scene(step, provider)
    // Datagrams of another handshake mean nothing here; those of this one do.
    for original in originals + scene.datagrams {
      for length in 0..<original.bytes.count { scene.attack(Array(original.bytes.prefix(length))) }
      for bit in 0..<original.bytes.count * 8 {
        var bytes = original.bytes
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        scene.attack(bytes)
      }
    }
    scene.expectBounds()
    try scene.expectCompletion()
  }

  @Test(
    "Flips in packets of a single fragment reach the handshake itself",
    arguments: providers,
    [
      Scene.Step.hello, .response, .completion, .keyConfirm, .acknowledge,
    ])
  func deepMutations(provider: any CryptoProvider, step: Scene.Step) throws {
    let scene = try Scene(step, provider, mtu: 9000)
    for original in scene.datagrams {
      // One bit of every byte; the bits take turns.
      for index in original.bytes.indices {
        var bytes = original.bytes
        bytes[index] ^= 1 << UInt8(index * 5 % 8)
        scene.attack(bytes)
        scene.pair.collect()
        _ = scene.pair.intercept()
      }
    }
    scene.expectBounds()
    try scene.expectCompletion()
  }

  @Test("A forged Hello costs one item of work and leaves nothing behind", arguments: providers)
  func forgedHello(provider: any CryptoProvider) throws {
    let scene = try Scene(.hello, provider, mtu: 9000)
    var hello = try #require(scene.datagrams.first).bytes
    hello[FragmentOffset.ephemeral + 10] ^= 1
    let bob = scene.pair.bob
    bob.receive(hello, from: scene.pair.alice.address, at: scene.pair.now)
    #expect(bob.halfOpenCount == 1)
    #expect(bob.pump(at: scene.pair.now).isEmpty)
    #expect(bob.halfOpenCount == 0 && bob.statistics[.notAuthentic] == 1 && bob.statistics.publicKeyWork == 1)
  }

  @Test("Half-open handshakes are bounded, and the oldest makes room", arguments: providers)
  func halfOpenBound(provider: any CryptoProvider) throws {
    let pair = try Pair(provider: provider)
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

  /// All datagrams of a handshake, in order.
  private static func handshake(_ provider: any CryptoProvider, mtu: Int) throws -> [Datagram] {
    let scene = try Scene(.hello, provider, mtu: mtu)
    var all: [Datagram] = []
    var next = scene.datagrams
    while !next.isEmpty {
      all += next
      for datagram in next { scene.pair.deliver(datagram) }
      next = scene.pair.intercept()
    }
    return all
  }
}
