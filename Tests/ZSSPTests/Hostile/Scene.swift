// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP

/// A pair stopped at a step of its handshake, or of Bob's first re-key, for an attacker to try what
/// they like, and the datagrams on the way.
///
/// From one seed of ``FastCrypto`` always the same scene is made, byte for byte, so that a scene
/// which an attack has moved can be had again, and so that what will be said in a scene is known
/// from one that is further on.
struct Scene {
  /// The state of the two sides.
  enum Step: Int, CaseIterable {
    /// Neither side has sent anything.
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
    /// K1 is out: Alice in S2, Bob in R1.
    case rekeyInit
    /// K2 is out: Alice in R2, Bob in R1.
    case rekeyComplete
    /// C1 is out under the new key: Alice in R2, Bob in S1.
    case rekeyConfirm
    /// C2 is out under the new key: Alice in S2, Bob in S1.
    case rekeyAcknowledge

    /// The states of both; nil where there is no session.
    var states: (alice: String?, bob: String?) {
      switch self {
      case .before: (nil, nil)
      case .hello, .response: ("A1", nil)
      case .completion: ("A3", nil)
      case .keyConfirm: ("A3", "S1")
      case .acknowledge, .rekeyAcknowledge: ("S2", "S1")
      case .established: ("S2", "S2")
      case .rekeyInit: ("S2", "R1")
      case .rekeyComplete: ("R2", "R1")
      case .rekeyConfirm: ("R2", "S1")
      }
    }
    /// True if Bob has a half-open handshake in B2.
    var isHalfOpen: Bool { self == .response || self == .completion }
  }

  let step: Step
  let pair: Pair
  /// Alice's session; nil before.
  let session: SessionID?
  /// Bob's session; nil before C1.
  let answered: SessionID?
  /// Every packet that was sent so far, the one on the way included; each is its datagrams.
  let packets: [[Datagram]]
  /// The datagrams on their way, taken out of the network.
  let datagrams: [Datagram]

  init(_ step: Step, provider: any CryptoProvider, mtu: Int = 1400, flags: SecurityFlags = .opportunistic) throws {
    var settings = Settings()
    // Packets of handshakes too: what is attacked is a fragment of any size.
    settings.mtu = mtu
    settings.handshakeMTU = mtu
    self.step = step
    pair = try Pair(provider: provider, flags: flags, settings: settings)
    guard step != .before else {
      session = nil
      answered = nil
      packets = []
      datagrams = []
      return
    }
    session = try pair.alice.open(to: pair.bob, identity: Array("alice@example.net".utf8), at: pair.now)
    var packets = [pair.intercept()]
    for next in Step.allCases where next.rawValue > Step.hello.rawValue && next.rawValue <= step.rawValue {
      if next == .rekeyInit, let answered = pair.bob.establishedSession { _ = pair.bob.rekey(answered, at: pair.now) }
      let sent = pair.round(packets[packets.count - 1])
      if next != .established { packets.append(sent) }
    }
    answered = pair.bob.establishedSession
    self.packets = packets
    datagrams = step == .established ? [] : packets[packets.count - 1]
    #expect(isIntact)
  }

  /// True if parts of a packet for a session are left, as of one whose count of fragments was
  /// changed: that is possible with the headers of ``FastCrypto``, and not with those under AES.
  /// They would keep the next true fragment out.
  var hasParts: Bool { pair.alice.diagnostics.largestReassembly + pair.bob.diagnostics.largestReassembly > 0 }

  /// True if both sides are where they were.
  var isIntact: Bool {
    session.flatMap(pair.alice.state) == step.states.alice && answered.flatMap(pair.bob.state) == step.states.bob
      && pair.bob.halfOpenCount == (step.isHalfOpen ? 1 : 0) && pair.alice.halfOpenCount == 0
      && pair.alice.sessionCount == (session == nil ? 0 : 1) && pair.bob.sessionCount == (answered == nil ? 0 : 1)
  }

  /// The things of both sides that an attacker may not move.
  var footing: [Footing] {
    [
      Footing(pair.alice, sessions: session.map { [$0] } ?? []),
      Footing(pair.bob, sessions: answered.map { [$0] } ?? []),
    ]
  }

  /// Hands a datagram to both endpoints, as if it came from the other one.
  func attack(_ bytes: [UInt8]) {
    pair.alice.receive(bytes, from: pair.bob.address, at: pair.now)
    pair.bob.receive(bytes, from: pair.alice.address, at: pair.now)
  }

  /// Lets both do all that they want to do about it, and loses what they have to say.
  func pump() {
    _ = pair.alice.pump(at: pair.now)
    _ = pair.bob.pump(at: pair.now)
  }

  /// Lets the true datagrams through after all, and time go on, and expects the session to come up
  /// and work.
  func expectCompletion(sourceLocation: SourceLocation = #_sourceLocation) throws {
    let session = try session ?? pair.alice.open(to: pair.bob, at: pair.now)
    for datagram in datagrams { pair.deliver(datagram) }
    pair.run(for: .seconds(60))
    #expect(pair.alice.state(session) == "S2", sourceLocation: sourceLocation)
    let answered = try #require(pair.bob.establishedSession, sourceLocation: sourceLocation)
    #expect(pair.bob.state(answered) == "S2", sourceLocation: sourceLocation)
    try pair.expectData(session, answered, sourceLocation: sourceLocation)
  }

  /// Expects that every datagram and every drop was counted once, and that nothing has grown.
  func expectBounds(sourceLocation: SourceLocation = #_sourceLocation) {
    for peer in [pair.alice, pair.bob] {
      let statistics = peer.statistics
      let held = peer.diagnostics
      let fates = peer.fates
      #expect(
        statistics.datagramsReceived == UInt64(fates.handled + fates.dropped + peer.messages.count),
        sourceLocation: sourceLocation)
      let reasons = DropReason.allCases.reduce(0) { $0 + statistics[$1] }
      #expect(reasons == statistics.dropped, sourceLocation: sourceLocation)
      #expect(
        statistics.dropped == UInt64(fates.dropped) + fates.evicted + fates.droppedLater, sourceLocation: sourceLocation
      )
      #expect(fates.miscounted == 0, sourceLocation: sourceLocation)
      #expect(
        held.sessions <= 1 && held.halfOpen <= Settings().halfOpenLimit && held.incompleteHellos <= 32,
        sourceLocation: sourceLocation)
      #expect(held.keyIDs <= 3 * held.sessions + held.halfOpen, sourceLocation: sourceLocation)
      #expect(
        held.timers <= held.sessions + held.halfOpen && held.requests <= held.sessions, sourceLocation: sourceLocation)
      #expect(
        held.reassemblyBytes <= 32 * PacketSize.hello + held.halfOpen << 14 + 1 << 20, sourceLocation: sourceLocation)
    }
  }
}
