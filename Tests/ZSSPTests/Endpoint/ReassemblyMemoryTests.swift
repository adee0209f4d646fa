// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

/// The incomplete packets of all sessions together are bounded, and the session that holds most
/// makes room (section 14).
@Suite("Incomplete packets of an endpoint", .tags(.fast))
struct ReassemblyMemoryTests {
  private let provider = FastCrypto(seed: 0x9)
  private static let share = Settings().reassemblyShare

  /// Bob, and clients with a session each.
  private final class Crowd {
    let bob: TestPeer
    private(set) var clients: [(peer: TestPeer, session: SessionID)] = []
    private(set) var now = Instant.milliseconds(1_000)
    let settings: Settings

    init(_ count: Int, limit: Int, provider: any CryptoProvider) throws {
      var settings = Settings()
      settings.totalReassemblyBytes = limit
      self.settings = settings
      func peer(_ host: UInt32) throws -> TestPeer {
        try TestPeer(
          EndpointConfiguration(
            staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow, settings: settings),
          at: Address(ipv4: host, port: 1))
      }
      bob = try peer(1)
      for index in 0..<count {
        let client = try peer(UInt32(100 + index))
        let session = try client.open(to: bob, at: now)
        clients.append((client, session))
        for _ in 0..<3 {
          for datagram in client.pump(at: now) { bob.receive(datagram.bytes, from: client.address, at: now) }
          for datagram in bob.pump(at: now) where datagram.to == client.address {
            client.receive(datagram.bytes, from: bob.address, at: now)
          }
        }
        #expect(client.state(session) == "S2")
      }
    }

    /// The datagrams of a message from a client.
    func message(_ client: Int, size: Int? = nil) throws -> [Datagram] {
      let bytes = [UInt8](repeating: UInt8(client), count: size ?? settings.largestMessage)
      try clients[client].peer.send(bytes, on: clients[client].session, at: now)
      return clients[client].peer.pump(at: now)
    }

    func deliver(_ datagram: Datagram) {
      bob.receive(datagram.bytes, from: datagram.from, at: now)
      let held = bob.diagnostics.reassemblyBytes
      #expect(held <= settings.totalReassemblyLimit && bob.countsReassemblyRight, "\(held) bytes")
    }

    func wait(_ duration: Duration) {
      now = now.advanced(by: duration)
      bob.advance(to: now)
      _ = bob.pump(at: now)
    }

    func close(_ client: Int) {
      guard let session = bob.sessions(with: clients[client].peer.publicKey).first else { return }
      bob.close(session)
    }
  }

  // [DEC-40]
  @Test("the defaults: 64 MiB, and room for one packet of the largest size in any case")
  func defaults() {
    var settings = Settings()
    #expect(settings.totalReassemblyLimit == 64 << 20)
    settings.totalReassemblyBytes = 1
    settings.mtu = Settings.largestMTU
    #expect(settings.totalReassemblyLimit == settings.reassemblyShare && settings.reassemblyShare > 3_000_000)
  }

  // [DEC-40]
  @Test("however many sessions begin packets and leave them, the limit holds, and each packet that goes is counted")
  func limit() throws {
    let crowd = try Crowd(12, limit: 4 * Self.share, provider: provider)
    for _ in 0..<3 {
      for client in 0..<12 { crowd.deliver(try crowd.message(client)[0]) }
    }
    #expect(crowd.bob.diagnostics.reassemblyBytes == 4 * Self.share)
    #expect(crowd.bob.statistics[.reassemblyEvicted] == 36 - 4)
    crowd.wait(.seconds(5))
    #expect(crowd.bob.diagnostics.reassemblyBytes == 0 && crowd.bob.countsReassemblyRight)
    #expect(crowd.bob.statistics[.reassemblyTimeout] == 4 && crowd.bob.messages.isEmpty)
  }

  // [DEC-41]
  /// Two other sessions begin a packet each after each fragment of the honest message: of the
  /// largest size, or a little smaller, with one fragment or several.
  @Test(
    "a single large message comes through while other sessions begin packets all the time", arguments: [0, 48, 5000],
    [1, 2, 5])
  func honestMessage(shorter: Int, fragments: Int) throws {
    let crowd = try Crowd(41, limit: 8 * Self.share, provider: provider)
    // They hold all of it already.
    for client in 1...40 { crowd.deliver(try crowd.message(client, size: crowd.settings.largestMessage - shorter)[0]) }
    let honest = try crowd.message(0)
    #expect(honest.count == 48)
    var attacker = 0
    for datagram in honest {
      crowd.deliver(datagram)
      for _ in 0..<2 {
        attacker = attacker % 40 + 1
        let begun = try crowd.message(attacker, size: crowd.settings.largestMessage - shorter)
        for datagram in begun[..<fragments] { crowd.deliver(datagram) }
      }
    }
    #expect(crowd.bob.messages.map(\.bytes.count) == [crowd.settings.largestMessage])
    #expect(crowd.bob.statistics[.reassemblyEvicted] > 90)
  }

  // [DEC-41]
  @Test("the session that holds most makes room first, though it was the last to send")
  func holdsMost() throws {
    let crowd = try Crowd(4, limit: 8 * Self.share, provider: provider)
    // Three sessions with half of a packet each, who do not go on for the time being.
    let waiting = try (0..<3).map { try crowd.message($0) }
    for datagrams in waiting { for datagram in datagrams[..<24] { crowd.deliver(datagram) } }
    // One begins as many as it likes.
    for _ in 0..<30 {
      for datagram in try crowd.message(3)[..<2] { crowd.deliver(datagram) }
    }
    #expect(crowd.bob.statistics[.reassemblyEvicted] == 30 - 5)
    for datagrams in waiting { for datagram in datagrams[24...] { crowd.deliver(datagram) } }
    #expect(crowd.bob.messages.count == 3)
  }

  // [DEC-40]
  @Test("the fragments of X3 count, too, and neither they nor the sessions are left out")
  func halfOpen() throws {
    let crowd = try Crowd(3, limit: 2 * Self.share, provider: provider)
    var settings = crowd.settings
    // Fragments as large as those of data.
    settings.handshakeMTU = settings.mtu
    let client = try TestPeer(
      EndpointConfiguration(
        staticKey: provider.generateAgreementKey(), provider: provider, settings: settings),
      at: Address(ipv4: 77, port: 1))
    _ = try client.open(to: crowd.bob, identity: [UInt8](repeating: 3, count: 4000), at: crowd.now)
    for datagram in client.pump(at: crowd.now) { crowd.deliver(datagram) }
    for datagram in crowd.bob.pump(at: crowd.now) {
      client.receive(datagram.bytes, from: crowd.bob.address, at: crowd.now)
    }
    let completion = client.pump(at: crowd.now)
    #expect(completion.count == 3)
    crowd.deliver(completion[0])
    #expect(crowd.bob.diagnostics.reassemblyBytes > 4000)
    for client in [0, 1, 2] { crowd.deliver(try crowd.message(client)[0]) }
    // X3 came first and did not go on, so that it went, and the first of the others with it.
    #expect(crowd.bob.statistics[.reassemblyEvicted] == 2 && crowd.bob.diagnostics.reassemblyBytes == 2 * Self.share)
    for datagram in completion { crowd.deliver(datagram) }
    _ = crowd.bob.pump(at: crowd.now)
    #expect(crowd.bob.diagnostics.sessions == 4 && crowd.bob.diagnostics.halfOpen == 0)
  }

  @Test(
    "whatever happens, what is counted is what is held, and nothing is left at the end",
    arguments: 1...10 as ClosedRange<UInt64>)
  func anything(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let crowd = try Crowd(6, limit: 3 * Self.share, provider: provider)
    var late: [Datagram] = []
    for _ in 0..<300 {
      switch Int.random(in: 0..<20, using: &random) {
      case 0: crowd.wait(.milliseconds(Int.random(in: 1...3000, using: &random)))
      case 1: crowd.close(Int.random(in: 0..<6, using: &random))
      default:
        let size = Int.random(in: 1500...(Bool.random(using: &random) ? 4000 : 60_000), using: &random)
        let client = Int.random(in: 0..<6, using: &random)
        guard let datagrams = try? crowd.message(client, size: size) else { continue }
        late += datagrams
      }
      for _ in 0..<6 where !late.isEmpty {
        crowd.deliver(late.remove(at: Int.random(in: max(0, late.count - 200)..<late.count, using: &random)))
      }
    }
    #expect(crowd.bob.statistics[.reassemblyEvicted] > 0)
    for client in 0..<6 { crowd.close(client) }
    #expect(crowd.bob.diagnostics.reassemblyBytes == 0 && crowd.bob.countsReassemblyRight)
  }
}
