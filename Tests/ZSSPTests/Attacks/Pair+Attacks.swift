// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP

/// The address of the attacker.
let mallory = Address(ipv4: 0x0A00_0666, port: 666)

/// The things that an attacker may not change: the sessions of a peer, their timers, and the stored
/// states.
struct Footing: Equatable {
  let states: [String?]
  let timers: [[Instant]?]
  let addresses: [Address?]
  /// Handshakes begun: a restart is a move, though the state is A1 again.
  let handshakes: [UInt64?]
  let store: [PublicKey: RatchetPair]
  let sessions: Int

  init(_ peer: TestPeer, sessions: [SessionID]) {
    states = sessions.map(peer.state)
    timers = sessions.map(peer.timers)
    addresses = sessions.map { peer.description($0)?.address }
    handshakes = sessions.map { peer.description($0)?.statistics.handshakes }
    store = peer.store.pairs
    self.sessions = peer.sessionCount
  }
}

extension Pair {
  /// A pair in persistent mode that shares a one-time password.
  static func persistent(
    _ provider: any CryptoProvider, settings: Settings = Settings(), helloPolicy: HelloPolicy = .allow
  ) throws -> Pair {
    let pair = try Pair(provider: provider, flags: .persistent, helloPolicy: helloPolicy, settings: settings)
    let password = [UInt8](repeating: 7, count: 32)
    let state = RatchetState(oneTimePassword: password.rawBytes, provider: provider)
    pair.alice.store = MemoryRatchetStore(pairs: [pair.bob.publicKey: RatchetPair(state)])
    pair.bob.store = MemoryRatchetStore(pairs: [pair.alice.publicKey: RatchetPair(state)])
    for peer in [pair.alice, pair.bob] { peer.decide = { _ in .accept(.persistent) } }
    return pair
  }

  /// A pair of either mode.
  static func of(_ flags: SecurityFlags, provider: any CryptoProvider, settings: Settings = Settings()) throws -> Pair {
    flags == .persistent
      ? try persistent(provider, settings: settings) : try Pair(provider: provider, settings: settings)
  }

  /// Delivers what is on the way, one round, and takes out what comes next.
  func round(_ datagrams: [Datagram]) -> [Datagram] {
    for datagram in datagrams { deliver(datagram) }
    return intercept()
  }

  /// Opens a session and lets it come up.
  func establish(sourceLocation: SourceLocation = #_sourceLocation) throws -> (alice: SessionID, bob: SessionID) {
    let session = try alice.open(to: bob, identity: [1, 2, 3], at: now)
    run(for: .seconds(2))
    #expect(alice.state(session) == "S2", sourceLocation: sourceLocation)
    return (session, try #require(bob.establishedSession, sourceLocation: sourceLocation))
  }

  /// Bob re-keys, up to the moment when K1 is on its way.
  func beginRekey(_ session: SessionID) -> [Datagram] {
    #expect(bob.rekey(session, at: now))
    return intercept()
  }

  /// Expects that data goes both ways, where it should.
  func expectData(_ one: SessionID, _ other: SessionID, sourceLocation: SourceLocation = #_sourceLocation) throws {
    try alice.send(Array("to bob".utf8), on: one, at: now)
    try bob.send(Array("to alice".utf8), on: other, at: now)
    let sent = intercept()
    #expect(sent.map(\.to) == [bob.address, alice.address], sourceLocation: sourceLocation)
    let before = (alice.messages.count, bob.messages.count)
    for datagram in sent { deliver(datagram) }
    settle()
    #expect(
      bob.messages.dropFirst(before.1).map(\.bytes) == [Array("to bob".utf8)], sourceLocation: sourceLocation)
    #expect(
      alice.messages.dropFirst(before.0).map(\.bytes) == [Array("to alice".utf8)], sourceLocation: sourceLocation)
  }

  /// Expects that there is one session, in S2, that works, that the stores agree, and that nobody
  /// was downgraded.
  func expectWorking(sourceLocation: SourceLocation = #_sourceLocation) throws {
    let one = try #require(alice.establishedSession, sourceLocation: sourceLocation)
    let other = try #require(bob.establishedSession, sourceLocation: sourceLocation)
    #expect(alice.state(one) == "S2" && bob.state(other) == "S2", sourceLocation: sourceLocation)
    #expect(alice.sessionCount == 1 && bob.sessionCount == 1, sourceLocation: sourceLocation)
    #expect(alice.store.pairs[bob.publicKey] == bob.store.pairs[alice.publicKey], sourceLocation: sourceLocation)
    #expect(alice.store.pairs[bob.publicKey]?.state2 == nil, sourceLocation: sourceLocation)
    #expect(alice.downgrades + bob.downgrades == 0, sourceLocation: sourceLocation)
    try expectData(one, other, sourceLocation: sourceLocation)
  }
}

extension Array where Element == Datagram {
  /// Returns the datagrams with another source.
  func from(_ address: Address) -> [Datagram] { map { Datagram(from: address, to: $0.to, bytes: $0.bytes) } }
}

extension Datagram {
  /// Returns the datagram with one bit changed.
  func flipped(_ byte: Int, _ bit: Int = 0) -> Datagram {
    var copy = self
    copy.bytes[byte] ^= 1 << UInt8(bit)
    return copy
  }
}
