// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPReference
import ZSSPSwiftCrypto

/// An endpoint of each implementation with the real primitives, whose randomness cannot be
/// repeated.
@Suite("ZSSP and the reference understand each other", .tags(.fast))
struct InteroperationTests {
  @Test(
    "a challenge, a handshake, data, and a re-key from either side", arguments: Profile.allCases,
    [[.zssp, .reference], [.reference, .zssp]] as [[PartyConfiguration.Implementation]])
  func understand(profile: Profile, implementations: [PartyConfiguration.Implementation]) throws {
    var link = try Link(implementations, profile: profile, policy: .challenge)
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
