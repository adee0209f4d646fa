// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// Silent peers are probed, and sessions with those that are gone end (section 14).
@Suite("A peer that is gone", .tags(.fast))
struct LivenessTests {
  private let provider = FastCrypto(seed: 0x11)

  private func established(
    keepAlive: Duration? = .seconds(16), idleTimeout: Duration? = .seconds(45),
    _ change: (inout Settings) -> Void = { _ in }
  ) throws -> (Pair, SessionID, SessionID) {
    var settings = Settings()
    settings.keepAlive = keepAlive
    settings.idleTimeout = idleTimeout
    change(&settings)
    let pair = try Pair(provider: provider, settings: settings)
    let (one, other) = try pair.establish()
    try hearEachOther(pair, session: one, other: other)
    return (pair, one, other)
  }

  /// Silence begins now.
  private func hearEachOther(_ pair: Pair, session one: SessionID, other: SessionID) throws {
    try pair.alice.send([], on: one, at: pair.now)
    try pair.bob.send([], on: other, at: pair.now)
    pair.settle()
  }

  /// Returns the times at which Alice sends something from now on, while nothing arrives anywhere.
  private func silence(_ pair: Pair, for duration: Duration) -> [Duration] {
    let start = pair.now
    let end = pair.now.advanced(by: duration)
    var sent: [Duration] = []
    _ = pair.intercept()
    while let deadline = pair.alice.nextDeadline, deadline <= end {
      pair.skip(pair.now.duration(to: deadline))
      pair.alice.advance(to: pair.now)
      if pair.intercept().contains(where: { $0.from == pair.alice.address }) {
        sent.append(start.duration(to: pair.now))
      }
    }
    pair.skip(pair.now.duration(to: end))
    return sent
  }

  private func answers(_ peer: TestPeer) -> [Duration?] {
    peer.events.compactMap { if case .answered(_, let roundTrip) = $0 { .some(roundTrip) } else { nil } }
  }

  // [DEC-83]
  @Test("an idle pair exchanges one probe in each keep-alive time, and its sessions last")
  func idlePair() throws {
    let (pair, one, other) = try established { $0.rekeyAfter = .seconds(100_000) }
    let before = pair.alice.statistics.datagramsSent + pair.bob.statistics.datagramsSent
    pair.run(for: .seconds(1600))
    // C1 and C2, each after 12 to 16 seconds, from whoever is sooner.
    let datagrams = pair.alice.statistics.datagramsSent + pair.bob.statistics.datagramsSent - before
    #expect((200...268).contains(datagrams))
    #expect(UInt64(answers(pair.alice).count + answers(pair.bob).count) * 2 == datagrams)
    #expect(pair.alice.state(one) == "S2" && pair.bob.state(other) == "S2")
    try pair.expectWorking()
  }

  // [DEC-83]
  @Test("without settings an idle pair is silent for ever")
  func off() throws {
    let (pair, one, _) = try established(keepAlive: nil, idleTimeout: nil) {
      $0.rekeyAfter = .seconds(100_000)
    }
    let before = pair.alice.statistics.datagramsSent + pair.bob.statistics.datagramsSent
    pair.run(for: .seconds(90_000))
    #expect(pair.alice.statistics.datagramsSent + pair.bob.statistics.datagramsSent == before)
    #expect(pair.alice.state(one) == "S2")
  }

  // [DEC-83]
  @Test("a pair that sends in both directions probes never")
  func traffic() throws {
    let (pair, one, other) = try established()
    for _ in 0..<60 {
      try pair.alice.send([1], on: one, at: pair.now)
      try pair.bob.send([2], on: other, at: pair.now)
      pair.run(for: .seconds(10))
    }
    #expect(answers(pair.alice).isEmpty && answers(pair.bob).isEmpty)
  }

  // [DEC-83]
  @Test("who sends, and hears nothing, probes; the probe is what the other hears")
  func oneWay() throws {
    let (pair, one, _) = try established()
    for _ in 0..<60 {
      try pair.alice.send([1], on: one, at: pair.now)
      pair.run(for: .seconds(10))
    }
    #expect((30...60).contains(answers(pair.alice).count))
    #expect(answers(pair.bob).isEmpty)
  }

  // [DEC-83]
  @Test("probes to a dead peer double their pauses, and the session ends exactly in time")
  func deadPeer() throws {
    let (pair, one, _) = try established(idleTimeout: .seconds(45)) { $0.resendInterval = .milliseconds(500) }
    let sent = silence(pair, for: .milliseconds(44_999))
    let first = try #require(sent.first)
    #expect(first >= .seconds(12) && first <= .seconds(16))
    // After 0.5, 1, 2, 4, 8 and 16 seconds; the keep-alive time at most.
    let pauses = zip(sent, sent.dropFirst()).map { $1 - $0 }
    let doubling = [500, 1000, 2000, 4000, 8000, 16_000].map { Duration.milliseconds($0) }
    #expect(pauses.count >= 5 && pauses == Array(doubling.prefix(pauses.count)))
    #expect(pair.alice.state(one) == "S2")
    _ = silence(pair, for: .milliseconds(1))
    #expect(pair.alice.state(one) == nil && pair.alice.endReasons == [.peerSilent])
  }

  // [DEC-83]
  @Test("without a keep-alive time the peer is probed before the end, and the session of one that answers lasts")
  func idleTimeoutAlone() throws {
    let (pair, one, other) = try established(keepAlive: nil, idleTimeout: .seconds(45)) {
      $0.rekeyAfter = .seconds(100_000)
    }
    pair.run(for: .seconds(1000))
    #expect(pair.alice.state(one) == "S2" && pair.bob.state(other) == "S2")
    // Both probe at the same times, because each last heard the other at the same time.
    #expect((42...50).contains(answers(pair.alice).count + answers(pair.bob).count))
    try hearEachOther(pair, session: one, other: other)
    #expect(silence(pair, for: .milliseconds(44_999)) == [.seconds(42), .seconds(43), .seconds(44)])
    #expect(pair.alice.state(one) == "S2")
    _ = silence(pair, for: .milliseconds(1))
    #expect(pair.alice.endReasons == [.peerSilent])
  }

  // [DEC-83]
  @Test("a probe that gets lost, of this side or the application, ends no session")
  func lostProbes() throws {
    let (pair, one, other) = try established(keepAlive: nil, idleTimeout: .seconds(45)) {
      $0.rekeyAfter = .seconds(100_000)
    }
    pair.alice.probe(one, at: pair.now)
    _ = pair.intercept()
    pair.run(for: .seconds(200))
    #expect(pair.alice.state(one) == "S2" && pair.bob.state(other) == "S2")
    try hearEachOther(pair, session: one, other: other)
    #expect(silence(pair, for: .milliseconds(43_500)).count == 2)
    pair.run(for: .seconds(200))
    #expect(pair.alice.state(one) == "S2" && pair.bob.state(other) == "S2")
  }

  /// A timeout that is hardly longer than a resend interval is halved: the probe comes after the
  /// first half.
  // [DEC-83]
  @Test func shortIdleTimeout() throws {
    let (pair, one, other) = try established(keepAlive: nil, idleTimeout: .seconds(2))
    try hearEachOther(pair, session: one, other: other)
    #expect(silence(pair, for: .milliseconds(1_999)) == [.seconds(1)])
    _ = silence(pair, for: .milliseconds(1))
    #expect(pair.alice.endReasons == [.peerSilent] && pair.alice.state(one) == nil)
  }

  /// A machine that was suspended looks at its deadlines late. What came meanwhile lies in its
  /// socket's buffer.
  // [DEC-83]
  @Test("no session ends before its peer was probed, however late the deadline is looked at", arguments: [nil, 16])
  func suspended(keepAlive: Int?) throws {
    let (pair, one, _) = try established(keepAlive: keepAlive.map { .seconds($0) }, idleTimeout: .seconds(45))
    pair.skip(.seconds(900))
    pair.alice.advance(to: pair.now)
    #expect(pair.alice.state(one) == "S2")
    // The peer is there.
    pair.settle()
    #expect(answers(pair.alice).count == 1)
    pair.run(for: .seconds(100))
    #expect(pair.alice.state(one) == "S2")
    // It is not.
    pair.skip(.seconds(900))
    pair.alice.advance(to: pair.now)
    #expect(silence(pair, for: .milliseconds(999)).isEmpty && pair.alice.state(one) == "S2")
    _ = silence(pair, for: .milliseconds(1))
    #expect(pair.alice.endReasons == [.peerSilent])
  }

  // [DEC-83]
  @Test("an application that probes all the time does not put the end off")
  func impatientApplication() throws {
    let (pair, one, _) = try established(keepAlive: nil, idleTimeout: .seconds(45))
    for _ in 0..<100 {
      pair.alice.probe(one, at: pair.now)
      _ = silence(pair, for: .milliseconds(500))
    }
    #expect(pair.alice.endReasons == [.peerSilent])
  }

  // [DEC-83]
  @Test("pauses are never longer than the keep-alive time", arguments: [1, 3, 20] as [Int64])
  func longestPause(seconds: Int64) throws {
    let (pair, _, _) = try established(keepAlive: .seconds(seconds), idleTimeout: nil) {
      $0.rekeyAfter = .seconds(100_000)
    }
    let sent = silence(pair, for: .seconds(600))
    let pauses = zip(sent, sent.dropFirst()).map { $1 - $0 }
    #expect(pauses.max() == .seconds(seconds) && pauses.count > 600 / Int(seconds) - 10)
  }

  // [DEC-83]
  @Test("sessions that began together do not probe together")
  func jitter() throws {
    let times = try (0..<64).map { seed in
      var settings = Settings()
      settings.keepAlive = .seconds(16)
      let pair = try Pair(provider: FastCrypto(seed: UInt64(seed)), settings: settings)
      let (one, other) = try pair.establish()
      try hearEachOther(pair, session: one, other: other)
      return try #require(silence(pair, for: .seconds(16)).first)
    }
    #expect(times.allSatisfy { $0 >= .seconds(12) && $0 <= .seconds(16) })
    #expect(Set(times.map { $0.components.seconds }).count >= 4)
    #expect(Set(times).count > 60)
  }

  /// A silence ends a session in the middle of a re-key that does not go on, too.
  // [DEC-83]
  @Test func silenceEndsARekey() throws {
    let (pair, one, _) = try established(idleTimeout: .seconds(30))
    #expect(pair.alice.rekey(one, at: pair.now))
    _ = silence(pair, for: .milliseconds(29_999))
    #expect(pair.alice.state(one) == "R1")
    _ = silence(pair, for: .milliseconds(1))
    #expect(pair.alice.endReasons == [.peerSilent])
  }

  // [DEC-83]
  @Test("what is not authentic, or old, is no sign of life")
  func forgeries() throws {
    let (pair, one, other) = try established(keepAlive: nil, idleTimeout: .seconds(45))
    try pair.bob.send([1], on: other, at: pair.now)
    let old = pair.intercept()
    for datagram in old { pair.deliver(datagram) }
    let heard = pair.alice.description(one)?.lastReceived
    #expect(heard == pair.now)
    pair.skip(.seconds(20))
    try pair.bob.send([2], on: other, at: pair.now)
    for datagram in pair.intercept() { pair.deliver(datagram.flipped(datagram.bytes.count - 1, 0)) }
    for datagram in old { pair.deliver(datagram) }
    #expect(pair.alice.description(one)?.lastReceived == heard)
    _ = silence(pair, for: .seconds(25))
    #expect(pair.alice.endReasons == [.peerSilent])
  }

  /// Data, in one fragment, several, or a burst, and control packets.
  // [DEC-83]
  @Test("everything authentic is a sign of life", arguments: [0, 1, 5000, -1])
  func signs(size: Int) throws {
    let (pair, one, other) = try established(keepAlive: nil)
    pair.skip(.seconds(7))
    if size < 0 {
      pair.bob.probe(other, at: pair.now)
    } else {
      try pair.bob.send([UInt8](repeating: 1, count: size), on: other, at: pair.now)
    }
    for datagram in pair.intercept() { pair.deliver(datagram) }
    #expect(pair.alice.description(one)?.lastReceived == pair.now)
  }

  // [DEC-83]
  @Test("a probe measures the round trip; several that are answered late do not")
  func roundTrip() throws {
    let (pair, one, _) = try established(keepAlive: nil, idleTimeout: nil)
    func exchange(_ probes: Int, after delay: Duration) {
      for _ in 0..<probes { pair.alice.probe(one, at: pair.now) }
      let questions = pair.intercept()
      pair.skip(delay)
      for datagram in questions { pair.deliver(datagram) }
      pair.settle()
    }
    exchange(1, after: .milliseconds(30))
    #expect(answers(pair.alice) == [.milliseconds(30)])
    #expect(pair.alice.description(one)?.roundTrip == .milliseconds(30))
    exchange(2, after: .milliseconds(50))
    // Nobody knows which of them the first C2 answers; the second answers nothing.
    #expect(answers(pair.alice) == [.milliseconds(30), nil])
    #expect(pair.alice.description(one)?.roundTrip == .milliseconds(30))
    exchange(1, after: .milliseconds(70))
    #expect(pair.alice.description(one)?.roundTrip == .milliseconds(70))
    // C2 without a probe are no events.
    #expect(answers(pair.bob).isEmpty)
  }

  // [DEC-83]
  @Test("a session that is being opened has no probe")
  func opening() throws {
    let pair = try Pair(provider: provider)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    _ = pair.intercept()
    pair.alice.probe(session, at: pair.now)
    #expect(pair.intercept().isEmpty)
    #expect(pair.alice.description(session)?.lastReceived == nil)
  }

  /// The probe is an ordinary C1, which both profiles answer (section 6).
  // [DEC-83]
  @Test("probes are answered in each profile", arguments: Profile.allCases)
  func profiles(profile: Profile) throws {
    var settings = Settings()
    settings.keepAlive = .seconds(15)
    let pair = try Pair(provider: provider, profile: profile, settings: settings)
    let (one, _) = try pair.establish()
    pair.alice.probe(one, at: pair.now)
    pair.settle()
    #expect(answers(pair.alice) == [.zero])
  }
}
