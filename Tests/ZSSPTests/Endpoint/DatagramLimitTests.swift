// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSPSwiftCrypto

@testable import ZSSP

/// Each session has its own limit for datagrams.
@Suite("The largest datagram of a session", .tags(.fast))
struct DatagramLimitTests {
  private static let there = Address(ipv4: 0x0A00_0002, port: 2)

  /// An endpoint with sessions to peers in one place each.
  private final class Setting {
    var endpoint: Endpoint
    var sessions: [SessionID] = []
    private var peers: [TestPeer] = []
    private var store = MemoryRatchetStore()
    let now = Instant.milliseconds(1)

    init(mtu: Int, sessions count: Int, _ provider: any CryptoProvider) throws {
      var settings = Settings()
      settings.mtu = mtu
      func configuration() -> EndpointConfiguration {
        EndpointConfiguration(
          staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow, settings: settings)
      }
      endpoint = try Endpoint(configuration())
      for number in 0..<count {
        let address = Address(ipv4: 0x0A00_0002 + UInt32(number), port: 2)
        let peer = try TestPeer(configuration(), at: address)
        sessions.append(try endpoint.open(to: peer.publicKey, at: address, now: now))
        peers.append(peer)
        for _ in 0..<4 {
          settle()
          for datagram in takeAll() { peer.receive(datagram, from: Address(ipv4: 1, port: 1), at: now) }
          for datagram in peer.pump(at: now) {
            var bytes = datagram.bytes
            _ = bytes.withMutableBytes { endpoint.receive(&$0, from: address, at: now) }
          }
        }
        settle()
        _ = takeAll()
      }
    }

    private func settle() {
      while let request = endpoint.nextRequest() {
        switch request {
        case .store(let id, let request): endpoint.answer(id, store: store.answer(request), at: now)
        case .accept: break
        case .work(let work): endpoint.complete(work.run(), took: nil, at: now)
        }
      }
      while endpoint.nextEvent() != nil {}
    }

    private func takeAll() -> [[UInt8]] {
      defer { endpoint.outbox.removeAll() }
      return endpoint.outbox.datagrams
    }

    /// The sizes of the datagrams of a message.
    func sizes(_ count: Int, on session: Int) throws -> [Int] {
      try endpoint.send([UInt8](repeating: 1, count: count).rawBytes, on: sessions[session], at: now)
      return takeAll().map(\.count)
    }

    func probe(_ count: Int, on session: Int) throws -> [Int] {
      let bytes = [UInt8](repeating: 1, count: count)
      try endpoint.send(on: sessions[session], at: now) { run throws(SendError) in
        try run.appendProbe(bytes.rawBytes)
        try run.append(bytes.rawBytes)
      }
      return takeAll().map(\.count)
    }
  }

  // [DEC-87]
  @Test("one narrow path does not shrink the others; a probe is not cut", arguments: [true, false])
  func limits(streams: Bool) throws {
    let provider: any CryptoProvider = streams ? FastCrypto(seed: 87) : SwiftCryptoProvider()
    let setting = try Setting(mtu: 1452, sessions: 2, provider)
    #expect(try setting.sizes(1420, on: 0) == [1452])
    #expect(setting.endpoint.setDatagramLimit(1372, of: setting.sessions[0]) == 1372)
    #expect(setting.endpoint.session(setting.sessions[0])?.datagramLimit == 1372)
    #expect(try setting.sizes(1340, on: 0) == [1372])
    #expect(try setting.sizes(1341, on: 0) == [695, 694])
    #expect(try setting.sizes(1420, on: 0) == [734, 734])
    #expect(try setting.sizes(1420, on: 1) == [1452])
    #expect(try setting.probe(1420, on: 0) == [1452, 734, 734])
    // And back.
    #expect(setting.endpoint.setDatagramLimit(nil, of: setting.sessions[0]) == 1452)
    #expect(setting.endpoint.session(setting.sessions[0])?.datagramLimit == nil)
    #expect(try setting.sizes(1420, on: 0) == [1452])
  }

  // [DEC-87]
  @Test("never below the floor, nor above the MTU", arguments: [(1452, 1232), (1300, 1232), (600, 600)])
  func bounds(mtu: Int, floor: Int) throws {
    let setting = try Setting(mtu: mtu, sessions: 1, FastCrypto(seed: 88))
    let session = setting.sessions[0]
    #expect(setting.endpoint.setDatagramLimit(1, of: session) == floor)
    #expect(setting.endpoint.setDatagramLimit(-5, of: session) == floor)
    #expect(setting.endpoint.setDatagramLimit(9000, of: session) == mtu)
    setting.endpoint.close(session)
    #expect(setting.endpoint.setDatagramLimit(1300, of: session) == nil)
  }

  // [DEC-87]
  @Test("the longest message is sent in any case") func longestMessage() throws {
    let setting = try Setting(mtu: 1452, sessions: 1, FastCrypto(seed: 89))
    setting.endpoint.setDatagramLimit(1232, of: setting.sessions[0])
    let longest = setting.endpoint.configuration.settings.largestMessage
    #expect(try setting.sizes(longest, on: 0).count == 48)
    #expect(try setting.sizes(48 * 1216 - 16, on: 0).allSatisfy { $0 == 1232 })
  }

  // [DEC-87]
  @Test("what the local device refuses limits the sessions with that address, and no others") func refused() throws {
    let setting = try Setting(mtu: 1452, sessions: 2, FastCrypto(seed: 90))
    setting.endpoint.setDatagramLimit(1300, of: setting.sessions[0])
    // A probe says nothing of smaller datagrams, and what every path takes does not either.
    setting.endpoint.datagramRefused(ofBytes: 1452, to: Self.there)
    setting.endpoint.datagramRefused(ofBytes: 1200, to: Self.there)
    #expect(setting.endpoint.session(setting.sessions[0])?.datagramLimit == 1300)
    setting.endpoint.datagramRefused(ofBytes: 1300, to: Self.there.reached(at: 3))
    #expect(setting.endpoint.session(setting.sessions[0])?.datagramLimit == 1232)
    #expect(setting.endpoint.session(setting.sessions[1])?.datagramLimit == nil)
  }
}
