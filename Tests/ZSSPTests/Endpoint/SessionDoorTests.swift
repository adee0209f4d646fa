// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

/// A session receives packets that are late, repeated, damaged, or from another address.
@Suite("Packets at the door of a session (sections 4, 5 and 11)", .tags(.fast))
struct SessionDoorTests {
  private let elsewhere = Address(ipv4: 0x0A00_0099, port: 9999)

  /// A pair in S2.
  private func established(
    _ settings: Settings = Settings()
  ) throws -> (pair: Pair, alice: SessionID, bob: SessionID) {
    let pair = try Pair(provider: FastCrypto(seed: 1), settings: settings)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    return (pair, session, try #require(pair.bob.establishedSession))
  }

  /// The datagrams of one message from Alice.
  private func message(_ bytes: [UInt8], from pair: Pair, on session: SessionID) throws -> [Datagram] {
    try pair.alice.send(bytes, on: session, at: pair.now)
    return pair.intercept()
  }

  private func damaged(_ datagram: Datagram) -> [UInt8] {
    var bytes = datagram.bytes
    bytes[bytes.count - 1] ^= 1
    return bytes
  }

  // [CTR-8]
  @Test func aDamagedCopyThatComesFirstDoesNotShutOutTheMessage() throws {
    let (pair, session, answered) = try established()
    let datagram = try #require(message([1, 2, 3], from: pair, on: session).first)
    let timers = try #require(pair.bob.stateTimers(answered))
    #expect(pair.bob.receive(damaged(datagram), from: elsewhere, at: pair.now) == .dropped(.notAuthentic))
    #expect(pair.bob.peerAddress(answered) == pair.alice.address, "what is not authentic moves nobody")
    #expect(pair.bob.stateTimers(answered)?.state == timers.state)
    pair.deliver(datagram)
    #expect(pair.bob.messages.map(\.bytes) == [[1, 2, 3]])
  }

  // [CTR-8] [CTRL-3]
  @Test func aDamagedCopyThatComesFirstDoesNotShutOutAControlPacket() throws {
    let scene = try Scene(.acknowledge, provider: FastCrypto(seed: 1))
    let pair = scene.pair
    let acknowledgement = try #require(scene.datagrams.first)
    let answered = try #require(pair.bob.establishedSession)
    #expect(pair.bob.state(answered) == "S1")
    let reception = pair.bob.receive(damaged(acknowledgement), from: pair.alice.address, at: pair.now)
    #expect(reception == .dropped(.notAuthentic))
    pair.deliver(acknowledgement)
    #expect(pair.bob.state(answered) == "S2")
  }

  // [TIME-10]
  @Test func nothingThatIsNotAuthenticMovesATimer() throws {
    let scene = try Scene(.acknowledge, provider: FastCrypto(seed: 1))
    let pair = scene.pair
    let acknowledgement = try #require(scene.datagrams.first)
    let answered = try #require(pair.bob.establishedSession)
    let before = try #require(pair.bob.stateTimers(answered))
    pair.skip(.milliseconds(500))
    // Flips in the key id lead nowhere, those in the header block to another header, those behind
    // it to a wrong tag.
    for bit in 0..<acknowledgement.bytes.count * 8 {
      var bytes = acknowledgement.bytes
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      pair.bob.receive(bytes, from: pair.alice.address, at: pair.now)
    }
    let after = try #require(pair.bob.stateTimers(answered))
    #expect(after.state == before.state && after.resend == before.resend)
    #expect(pair.bob.state(answered) == "S1")
  }

  // [CTR-3] [CTR-4]
  @Test func aMessageIsTakenOnce() throws {
    let (pair, session, _) = try established()
    let whole = try message([1], from: pair, on: session)
    let inParts = try message([UInt8](repeating: 2, count: 3000), from: pair, on: session)
    for datagram in whole + inParts { pair.deliver(datagram) }
    #expect(pair.bob.messages.count == 2)
    for datagram in whole + inParts {
      #expect(pair.bob.receive(datagram.bytes, from: datagram.from, at: pair.now) == .dropped(.replayed))
    }
    #expect(pair.bob.messages.count == 2)
  }

  // [CTR-3] [CTR-4]
  @Test func aControlPacketIsTakenOnce() throws {
    let scene = try Scene(.keyConfirm, provider: FastCrypto(seed: 1))
    let pair = scene.pair
    let confirmation = try #require(scene.datagrams.first)
    pair.deliver(confirmation)
    let sent = pair.alice.statistics.datagramsSent
    #expect(pair.alice.receive(confirmation.bytes, from: confirmation.from, at: pair.now) == .dropped(.replayed))
    pair.collect()
    #expect(pair.alice.statistics.datagramsSent == sent, "a C1 that was answered is not answered again")
  }

  // [DEC-30] [DEC-31]
  @Test func theNewestMessageMovesTheSessionAndAnOlderOneDoesNot() throws {
    let (pair, session, answered) = try established()
    let older = try #require(message([1], from: pair, on: session).first)
    let newer = try #require(message([2], from: pair, on: session).first)
    pair.bob.receive(newer.bytes, from: elsewhere, at: pair.now)
    #expect(pair.bob.peerAddress(answered) == elsewhere)
    pair.bob.receive(older.bytes, from: pair.alice.address, at: pair.now)
    #expect(pair.bob.messages.map(\.bytes) == [[2], [1]])
    #expect(pair.bob.peerAddress(answered) == elsewhere)
    _ = pair.bob.pump(at: pair.now)
    let moves = pair.bob.events.compactMap { event in
      if case .moved(_, let from, let to) = event { [from, to] } else { nil }
    }
    #expect(moves == [[pair.alice.address, elsewhere]])
  }

  // [CTR-10]
  @Test func aKeyIsUsedAsOftenAsItMayBeAndNotOnceMore() throws {
    var settings = Settings()
    settings.rekeyUses = 9
    settings.keyUseLimit = 10
    let (pair, session, answered) = try established(settings)
    // C2 was the first use on Alice's side.
    for number in 0..<9 as Range<UInt8> { try pair.alice.send([number], on: session, at: pair.now) }
    #expect(throws: SendError.keyExhausted) { try pair.alice.send([9], on: session, at: pair.now) }
    pair.settle()
    #expect(pair.bob.messages.count == 9 && pair.alice.state(session) == nil)
    #expect(pair.alice.endReasons == [.keyExhausted])
    #expect(pair.bob.state(answered) == "S2")
  }

  // [CTR-11]
  @Test func aKeyThatWasUsedOftenIsReplacedAtOnce() throws {
    var settings = Settings()
    settings.rekeyUses = 10
    let (pair, session, answered) = try established(settings)
    for number in 0..<8 as Range<UInt8> { try pair.alice.send([number], on: session, at: pair.now) }
    pair.settle()
    #expect(pair.alice.chainLength(session) == 1)
    // The tenth use, C2 included. The re-key begins by itself, without time going on.
    try pair.alice.send([8], on: session, at: pair.now)
    pair.settle()
    #expect(pair.alice.chainLength(session) == 2 && pair.bob.chainLength(answered) == 2)
    // The uses of the new key count from its beginning: C1 and eight messages are nine.
    for number in 0..<8 as Range<UInt8> { try pair.alice.send([number], on: session, at: pair.now) }
    pair.settle()
    #expect(pair.alice.chainLength(session) == 2)
    try pair.alice.send([8], on: session, at: pair.now)
    pair.settle()
    #expect(pair.alice.chainLength(session) == 3 && pair.bob.messages.count == 18)
  }

  // [KK-15]
  @Test func keyIDsOfKeysThatAreGoneLeadNowhere() throws {
    let (pair, session, answered) = try established()
    #expect(pair.alice.diagnostics.keyIDs == 1 && pair.bob.diagnostics.keyIDs == 1)
    // Both sides take turns; the current key and the one before it are held.
    for turn in 0..<4 {
      #expect(
        turn % 2 == 0 ? pair.alice.rekey(session, at: pair.now) : pair.bob.rekey(answered, at: pair.now))
      pair.settle()
      #expect(pair.alice.diagnostics.keyIDs == 2 && pair.bob.diagnostics.keyIDs == 2, "turn \(turn)")
    }
    pair.alice.close(session)
    pair.bob.close(answered)
    #expect(pair.alice.diagnostics.keyIDs == 0 && pair.bob.diagnostics.keyIDs == 0)
  }

  // [CTRL-7]
  @Test("data under the next key is read in A3 and R2", arguments: [Scene.Step.keyConfirm, .rekeyConfirm])
  func dataUnderTheNextKey(step: Scene.Step) throws {
    let scene = try Scene(step, provider: FastCrypto(seed: 1))
    let pair = scene.pair
    let session = try #require(scene.session)
    let answered = try #require(pair.bob.establishedSession)
    try pair.bob.send([7], on: answered, at: pair.now)
    for datagram in pair.intercept() { pair.deliver(datagram) }
    #expect(pair.alice.messages.map(\.bytes) == [[7]] && pair.alice.state(session) == step.states.alice)
  }

  // [TIME-12]
  @Test func anIdleSessionSendsNothingUntilItsRekey() throws {
    let (pair, session, answered) = try established()
    let sent = [pair.alice, pair.bob].map(\.statistics.datagramsSent)
    // The earliest re-key is 3600 s − 600 s after S2 was entered.
    pair.run(for: .milliseconds(2_999_999))
    #expect([pair.alice, pair.bob].map(\.statistics.datagramsSent) == sent)
    #expect(pair.alice.state(session) == "S2" && pair.bob.state(answered) == "S2")
  }

  @Test func aHandshakeThatBeginsAnewHasAReplayWindowOfItsOwn() throws {
    let pair = try Pair(provider: FastCrypto(seed: 1))
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    // C1 arrives, and its counter is used, but Alice's store fails, and C1 does not come again.
    pair.alice.answerStore = { [alice = pair.alice] request in
      if case .compareAndSwap(_, let expected, let new, _) = request, new.state1 == expected.state1 { return .failed }
      return alice.store.answer(request)
    }
    pair.settle()
    #expect(pair.alice.state(session) == "A3")
    pair.alice.answerStore = nil
    pair.skip(.seconds(10))
    pair.alice.advance(to: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "S2", "the C1 of the new handshake has counter 0 again")
  }
}
