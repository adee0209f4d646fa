// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPRandom
import ZSSPSwiftCrypto

/// An attacker who cannot make an X2 gets Alice to do nothing but what section 11 says of an X2
/// that fails to authenticate inside Noise.
@Suite("Attack: spoofed X2", .tags(.fast), .serialized)
struct SpoofedResponseTests {
  private let provider = SwiftCryptoProvider()

  /// Alice in A1, X2 on its way.
  private func waiting(_ pair: Pair) throws -> (session: SessionID, hello: [Datagram], response: [Datagram]) {
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let hello = pair.intercept()
    let response = pair.round(hello)
    #expect(response.count == 2 && response.allSatisfy { $0.to == pair.alice.address })
    return (session, hello, response)
  }

  private func restarts(_ peer: TestPeer) -> [RestartReason] {
    peer.events.compactMap { if case .restarted(_, let reason) = $0 { reason } else { nil } }
  }

  // [DEC-32]
  @Test(arguments: [SecurityFlags.persistent, .opportunistic])
  func x2FromAnotherAddressIsTakenAndLeadsNowhereElse(flags: SecurityFlags) throws {
    let pair = try Pair.of(flags, provider: provider)
    let (session, _, response) = try waiting(pair)
    let completion = pair.round(response.from(mallory))
    #expect(pair.alice.state(session) == "A3")
    #expect(!completion.isEmpty && completion.allSatisfy { $0.to == pair.bob.address }, "X3 goes to Bob")
    #expect(pair.alice.description(session)?.address == pair.bob.address)
    for datagram in completion { pair.deliver(datagram) }
    pair.settle()
    try pair.expectWorking()
    #expect(restarts(pair.alice) == [])
  }

  // [HDR-2]
  @Test(arguments: [SecurityFlags.persistent, .opportunistic])
  func garbageUnderAlicesKeyIDChangesNothing(flags: SecurityFlags) throws {
    let pair = try Pair.of(flags, provider: provider)
    let (session, hello, response) = try waiting(pair)
    let before = Footing(pair.alice, sessions: [session])
    let work = pair.alice.statistics.publicKeyWork
    let sent = pair.alice.statistics.datagramsSent
    var random = SplitMix64(seed: 0x32)
    // The key id is in the clear at the start of the Hello.
    let keyID = Array(hello[0].bytes[16..<20])
    for size in 28..<1400 {
      let bytes = keyID + random.bytes(size)
      for source in [mallory, pair.bob.address] {
        guard case .dropped = pair.alice.receive(bytes, from: source, at: pair.now) else {
          Issue.record("\(size) bytes of garbage were not dropped")
          continue
        }
      }
    }
    #expect(pair.intercept().isEmpty && pair.alice.statistics.datagramsSent == sent)
    #expect(pair.alice.statistics.publicKeyWork == work)
    #expect(Footing(pair.alice, sessions: [session]) == before && restarts(pair.alice) == [])
    for datagram in response { pair.deliver(datagram) }
    pair.settle()
    try pair.expectWorking()
  }

  /// A datagram of the true X2, changed where its header is.
  @Test func aChangedHeaderChangesNothing() throws {
    let pair = try Pair(provider: provider)
    let (session, _, response) = try waiting(pair)
    let before = Footing(pair.alice, sessions: [session])
    for bit in 0..<20 * 8 { pair.deliver(response[0].flipped(bit / 8, bit % 8)) }
    #expect(
      pair.intercept().isEmpty && Footing(pair.alice, sessions: [session]) == before && restarts(pair.alice) == [])
    for datagram in response { pair.deliver(datagram) }
    pair.settle()
    try pair.expectWorking()
  }

  // [XK-18]
  @Test func theX2OfAnotherHandshakeChangesNothing() throws {
    let pair = try Pair(provider: provider)
    let (session, _, old) = try waiting(pair)
    pair.run(for: .seconds(9))
    // X2s to the resent Hellos came in the meantime: Alice has a session, and opens another.
    #expect(pair.alice.state(session) == "S2")
    let second = try pair.alice.open(to: pair.bob, at: pair.now)
    let hello = pair.intercept()
    let response = pair.round(hello)
    let before = Footing(pair.alice, sessions: [session, second])
    let keyID = hello[0].bytes[16..<20]
    for datagram in old {
      pair.deliver(datagram)
      // The same under the key id of the Hello that is out: its header was protected for another.
      var renamed = datagram
      renamed.bytes.replaceSubrange(0..<4, with: keyID)
      #expect(renamed.bytes != datagram.bytes)
      pair.deliver(renamed)
    }
    #expect(pair.intercept().isEmpty && Footing(pair.alice, sessions: [session, second]) == before)
    #expect(restarts(pair.alice) == [])
    for datagram in response { pair.deliver(datagram) }
    pair.settle()
    try pair.expectWorking()
  }

  // [DEC-1] [TIME-11]
  /// Section 11 has it act as the timeout; section 14 lets only the first in a row do so at once.
  /// How many are read before that is a setting: see `ForgedBodyTests`.
  @Test(arguments: [SecurityFlags.persistent, .opportunistic])
  func theLastX2ChangedInsideRestartsOnceAndThenWaits(flags: SecurityFlags) throws {
    var settings = Settings()
    settings.bodiesPerHandshake = 1
    let pair = try Pair.of(flags, provider: provider, settings: settings)
    var (session, _, response) = try waiting(pair)
    var hellos = 1
    let start = pair.now
    for expected in 1...20 {
      // The last byte of the first fragment lies in the sealed KEM ciphertext.
      response[0] = response[0].flipped(response[0].bytes.count - 1)
      let work = pair.alice.statistics.publicKeyWork
      var next = pair.round(response)
      #expect(pair.alice.statistics.publicKeyWork > work, "it reached Noise")
      #expect(restarts(pair.alice) == Array(repeating: .notAuthentic, count: expected))
      #expect(pair.alice.description(session)?.lastRestart == .notAuthentic)
      if expected > 1 {
        #expect(next.isEmpty)
        pair.skip(.seconds(1))
        pair.alice.advance(to: pair.now)
        next = pair.intercept()
      }
      hellos += 1
      response = pair.round(next)
    }
    #expect(start.duration(to: pair.now) == .seconds(19) && hellos == 21)
    for datagram in response { pair.deliver(datagram) }
    pair.settle()
    try pair.expectWorking()
  }
}
