// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

@Suite("A handshake between two endpoints", .tags(.fast))
struct HandshakeTests {
  // [PROF-4] [PROF-5] [PROF-6]
  @Test(arguments: providers, Profile.allCases)
  func establishesAndCarriesDataBothWays(provider: any CryptoProvider, profile: Profile) throws {
    let pair = try Pair(provider: provider, profile: profile)
    let session = try pair.alice.open(to: pair.bob, identity: Array("alice".utf8), at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "S2")
    let answered = try #require(pair.bob.establishedSession)
    #expect(pair.bob.state(answered) == "S2")

    try pair.alice.send(Array("to bob".utf8), on: session, at: pair.now)
    try pair.bob.send(Array("to alice".utf8), on: answered, at: pair.now)
    pair.settle()
    #expect(pair.bob.messages.map(\.bytes) == [Array("to bob".utf8)])
    #expect(pair.alice.messages.map(\.bytes) == [Array("to alice".utf8)])
  }

  // [KK-1] [TIME-6]
  @Test(arguments: providers)
  func rekeysForDaysWithoutLosingData(provider: any CryptoProvider) throws {
    let pair = try Pair(provider: provider)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    let answered = try #require(pair.bob.establishedSession)
    var sent = 0
    for hour in 0..<48 {
      pair.run(for: .seconds(3600))
      try pair.alice.send([UInt8(hour)], on: session, at: pair.now)
      try pair.bob.send([UInt8(hour)], on: answered, at: pair.now)
      sent += 1
      pair.settle()
    }
    #expect(pair.alice.messages.count == sent && pair.bob.messages.count == sent)
    let chain = try #require(pair.alice.chainLength(session))
    #expect(chain >= 48)
    #expect(pair.bob.chainLength(answered) == chain)
  }
}
