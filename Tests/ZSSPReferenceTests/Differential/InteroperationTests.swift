// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSP
import ZSSPReference
import ZSSPSwiftCrypto

/// One of each with the real primitives, whose randomness nobody can repeat.
@Suite("ZSSP and the reference understand each other")
struct InteroperationTests {
  private struct Link {
    let parties: [any Party]
    let keys: [any AgreementPrivateKey]
    var now = Instant.milliseconds(1)
    var messages: [[UInt8]] = [[], []]
    var events: [[String]] = [[], []]

    init(_ implementations: [PartyConfiguration.Implementation], _ profile: Profile, mtu: Int) throws {
      let provider = SwiftCryptoProvider()
      let keys = (0..<2).map { _ in provider.generateAgreementKey() }
      var settings = Settings()
      settings.mtu = mtu
      parties = try (0..<2).map { index in
        try PartyConfiguration(
          staticKey: keys[index], provider: provider, profile: profile, flags: .opportunistic, policy: .challenge,
          settings: settings, store: FailingStore([:]) { _ in .works }, accepts: { true }
        ).make(implementations[index])
      }
      self.keys = keys
    }

    func address(_ index: Int) -> Address { Address(ipv4: UInt32(index + 1), port: 1) }

    /// Delivers everything, and lets a second pass.
    mutating func settle() {
      for _ in 0..<40 {
        var isIdle = true
        for from in 0..<2 {
          for datagram in parties[from].takeDatagrams() {
            isIdle = false
            if let message = parties[1 - from].receive(datagram.bytes, from: address(from), at: now) {
              messages[1 - from] = message
            }
          }
          events[from] += parties[from].takeEvents()
        }
        if isIdle { break }
      }
      now = now.advanced(by: .seconds(1))
      for party in parties { party.tick(at: now) }
    }

    /// Whether each gets what the other sends.
    mutating func carries(_ size: Int) -> Bool {
      let sent = (0..<2).map { side in (0..<size).map { UInt8(truncatingIfNeeded: $0 &+ side) } }
      for side in 0..<2 { parties[side].send(sent[side], on: 1, at: now) }
      settle()
      return messages[0] == sent[1] && messages[1] == sent[0]
    }
  }

  @Test(
    "a challenge, a handshake, data, and a re-key from either side", arguments: Profile.allCases,
    [[.zssp, .reference], [.reference, .zssp]] as [[PartyConfiguration.Implementation]])
  func understand(profile: Profile, implementations: [PartyConfiguration.Implementation]) throws {
    var link = try Link(implementations, profile, mtu: 500)
    link.parties[0].open(
      to: link.keys[1].publicKey, at: link.address(1), identity: [UInt8](repeating: 3, count: 2000), now: link.now)
    for _ in 0..<3 { link.settle() }
    #expect(
      link.events == [["1 established Alice 2000 1 1 from 0"], ["1 established Bob 2000 1 1 from 0", "1 confirmed"]])
    #expect(link.carries(10) && link.carries(3000))
    for side in 0..<2 {
      link.parties[side].rekey(1, at: link.now)
      link.settle()
      #expect(link.events.allSatisfy { $0.last == "1 rekeyed \(side + 2)" })
      #expect(link.carries(0) && link.carries(5000))
    }
  }
}
