// SPDX-License-Identifier: Apache-2.0

import ZSSP
import ZSSPReference
import ZSSPSwiftCrypto

/// Two parties of any implementation on a good link, with the real primitives.
struct Link {
  let parties: [any Party]
  let keys: [any AgreementPrivateKey]
  var now = Instant.milliseconds(1)
  var messages: [[UInt8]] = [[], []]
  var events: [[String]] = [[], []]

  init(_ implementations: [PartyConfiguration.Implementation], profile: Profile, policy: HelloPolicy) throws {
    let provider = SwiftCryptoProvider()
    let keys = (0..<2).map { _ in provider.generateAgreementKey() }
    var settings = Settings()
    settings.mtu = 500
    parties = try (0..<2).map { index in
      try PartyConfiguration(
        staticKey: keys[index], provider: provider, profile: profile, flags: .opportunistic, policy: policy,
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

  /// Returns true if each side receives the message of the other.
  mutating func carries(_ size: Int) -> Bool {
    let sent = (0..<2).map { side in (0..<size).map { UInt8(truncatingIfNeeded: $0 &+ side) } }
    for side in 0..<2 { parties[side].send(sent[side], on: 1, at: now) }
    settle()
    return messages[0] == sent[1] && messages[1] == sent[0]
  }
}
