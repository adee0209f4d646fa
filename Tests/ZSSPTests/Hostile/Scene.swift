// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP

/// A pair stopped at a step of its handshake, for an attacker to try what they like, and the datagrams on the way.
struct Scene {
  /// Where the handshake stands.
  enum Step: CaseIterable {
    /// Nobody has said anything.
    case before
    /// X1 is out: Alice in A1, Bob knows nothing.
    case hello
    /// X2 is out: Alice in A1, Bob in B2.
    case response
    /// X3 is out: Alice in A3, Bob in B2.
    case completion
    /// C1 is out: Alice in A3, Bob in S1.
    case keyConfirm
    /// C2 is out: Alice in S2, Bob in S1.
    case acknowledge
    /// Both are in S2.
    case established
  }

  let pair: Pair
  /// Alice's session; nil before.
  let session: SessionID?
  /// What is on the way, taken out of the network.
  let datagrams: [Datagram]

  init(_ step: Step, _ provider: any CryptoProvider, mtu: Int = 1400, flags: SecurityFlags = .opportunistic) throws {
    var settings = Settings()
    settings.mtu = mtu
    pair = try Pair(provider: provider, flags: flags, settings: settings)
    guard step != .before else {
      (session, datagrams) = (nil, [])
      return
    }
    session = try pair.alice.open(to: pair.bob, identity: Array("alice@example.net".utf8), at: pair.now)
    var steps = Step.allCases.drop { $0 != .hello }.prefix { $0 != step }.count
    while steps > 0 {
      for datagram in pair.intercept() { pair.deliver(datagram) }
      steps -= 1
    }
    datagrams = pair.intercept()
  }

  /// Hands a datagram to both endpoints, as if it came from the other one.
  func attack(_ bytes: [UInt8]) {
    pair.alice.receive(bytes, from: pair.bob.address, at: pair.now)
    pair.bob.receive(bytes, from: pair.alice.address, at: pair.now)
  }

  /// Lets the true datagrams through after all, and time go on, and expects the session to come up and work.
  func expectCompletion(sourceLocation: SourceLocation = #_sourceLocation) throws {
    let session = try session ?? pair.alice.open(to: pair.bob, at: pair.now)
    for datagram in datagrams { pair.deliver(datagram) }
    pair.run(for: .seconds(60))
    #expect(pair.alice.state(session) == "S2", sourceLocation: sourceLocation)
    let messages = pair.bob.messages.count
    try pair.alice.send(Array("still here".utf8), on: session, at: pair.now)
    pair.settle()
    #expect(
      pair.bob.messages.dropFirst(messages).map(\.bytes) == [Array("still here".utf8)], sourceLocation: sourceLocation)
    let answered = try #require(pair.bob.establishedSession, sourceLocation: sourceLocation)
    try pair.bob.send(Array("me too".utf8), on: answered, at: pair.now)
    pair.settle()
    #expect(pair.alice.messages.last?.bytes == Array("me too".utf8), sourceLocation: sourceLocation)
  }

  /// Expects that every datagram was counted once, and that nothing has grown.
  func expectBounds(sourceLocation: SourceLocation = #_sourceLocation) {
    for peer in [pair.alice, pair.bob] {
      let statistics = peer.statistics
      let accounted = peer.handled + peer.dropped + peer.messages.count
      #expect(statistics.datagramsReceived == UInt64(accounted), sourceLocation: sourceLocation)
      #expect(statistics.dropped >= UInt64(peer.dropped), sourceLocation: sourceLocation)
      #expect(peer.sessionCount <= 2 && peer.halfOpenCount <= 32, sourceLocation: sourceLocation)
    }
  }
}
