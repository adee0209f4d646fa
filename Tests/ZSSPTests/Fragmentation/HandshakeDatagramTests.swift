// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

/// Handshakes pass where only small datagrams do, however large those of data may be.
@Suite("Datagrams of handshakes", .tags(.fast))
struct HandshakeDatagramTests {
  private func pair(mtu: Int, helloPolicy: HelloPolicy = .allow) throws -> Pair {
    var settings = Settings()
    settings.mtu = mtu
    return try Pair(provider: FastCrypto(seed: 85), helloPolicy: helloPolicy, settings: settings)
  }

  /// Delivers everything until nothing moves, and returns the sizes of the datagrams.
  private func settle(_ pair: Pair) -> [Int] {
    var sizes: [Int] = []
    while let datagram = pair.deliverOne() { sizes.append(datagram.bytes.count) }
    return sizes
  }

  // [DEC-85]
  @Test("are 1,200 bytes at most, those of data are not", arguments: [1200, 1400, 1453, 8953, Settings.largestMTU])
  func handshakesAreCut(mtu: Int) throws {
    let pair = try pair(mtu: mtu)
    let session = try pair.alice.open(
      to: pair.bob, identity: [UInt8](repeating: 1, count: PacketSize.largestIdentity), at: pair.now)
    var sizes = settle(pair)
    let other = try #require(pair.bob.establishedSession)
    #expect(pair.alice.state(session) == "S2" && pair.bob.state(other) == "S2")
    #expect(pair.bob.rekey(other, at: pair.now))
    sizes += settle(pair)
    #expect(pair.alice.chainLength(session) == 2)
    #expect(sizes.allSatisfy { $0 <= 1200 })
    // X1 and X2 in two each, X3 in four.
    #expect(sizes.count { $0 > 800 } == 8)
    try pair.alice.send([UInt8](repeating: 2, count: mtu - 32), on: session, at: pair.now)
    #expect(pair.intercept().map(\.bytes.count) == [mtu])
  }

  // [DEC-85]
  @Test("are as small as the MTU where that is less") func smallMTU() throws {
    let pair = try pair(mtu: 300)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    let sizes = settle(pair)
    #expect(sizes.allSatisfy { $0 <= 300 } && sizes.count > 12)
  }
}
