// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

/// An endpoint reads, queues and answers Hellos as the budget and its limits allow.
@Suite("The Hello budget of an endpoint", .tags(.fast))
struct EndpointHelloBudgetTests {
  /// Hosts in networks of their own.
  private func stranger(_ number: Int) -> Address { Address(ipv4: 0x0B00_0000 + UInt32(number) << 8, port: 1) }

  /// Bob has time for one Hello a second, and has spent it.
  private func busyPair() throws -> Pair {
    var budget = HelloBudget()
    budget.unchallenged = .zero
    budget.challenged = HelloBudget.assumedTime
    let pair = try Pair(provider: EasyWork(seed: 1), helloPolicy: .automatic(budget))
    let other = try TestPeer(pair.alice.configuration, at: Address(ipv4: 0x0A00_0009, port: 9))
    _ = try other.open(to: pair.bob, at: pair.now)
    for _ in 0..<2 {
      other.advance(to: pair.now)
      for datagram in other.pump(at: pair.now) { pair.bob.receive(datagram.bytes, from: datagram.from, at: pair.now) }
      for datagram in pair.bob.pump(at: pair.now) { other.receive(datagram.bytes, from: datagram.from, at: pair.now) }
      _ = other.pump(at: pair.now)
      pair.skip(.seconds(1))
    }
    #expect(pair.bob.halfOpenCount == 1)
    return pair
  }

  @Test("a Hello that waits is answered at the deadline that the endpoint names")
  func exactDeadline() throws {
    let pair = try busyPair()
    // Spent again at this moment.
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.bob.statistics[.challenged] == 2)
    pair.run(for: .milliseconds(999))
    #expect(pair.alice.state(session) == "A1")
    pair.run(for: .milliseconds(1))
    #expect(pair.alice.state(session) == "S2")
  }

  /// Strangers, each in a network of its own, whose Hellos name a state that Bob does not know.
  private func strangersWithAState(_ count: Int, to pair: Pair) throws -> [TestPeer] {
    let password = [UInt8](repeating: 7, count: 32)
    let state = RatchetState(oneTimePassword: password.rawBytes, provider: pair.alice.configuration.provider)
    return try (0..<count).map { number in
      let peer = try TestPeer(pair.alice.configuration, at: stranger(number))
      peer.store = MemoryRatchetStore(pairs: [pair.bob.publicKey: RatchetPair(state)])
      return peer
    }
  }

  /// Hellos of strangers, each in a network of its own, that have answered a challenge of `bob`.
  private func answeredHellos(_ count: Int, to pair: Pair, from strangers: [TestPeer]? = nil) throws -> [[Datagram]] {
    let strangers = try strangers ?? (0..<count).map { try TestPeer(pair.alice.configuration, at: stranger($0)) }
    for peer in strangers {
      _ = try peer.open(to: pair.bob, at: pair.now)
      for datagram in peer.pump(at: pair.now) { pair.bob.receive(datagram.bytes, from: datagram.from, at: pair.now) }
      for datagram in pair.bob.pump(at: pair.now) { peer.receive(datagram.bytes, from: datagram.from, at: pair.now) }
      _ = peer.pump(at: pair.now)
    }
    pair.skip(.seconds(1))
    return strangers.map { peer in
      peer.advance(to: pair.now)
      return peer.pump(at: pair.now)
    }
  }

  // [DEC-55]
  @Test(
    "an endpoint charges what its driver tells, for X1 and X2 together, and sets aside as much as X1 took for X3",
    arguments: [
      (nil, 5), (.microseconds(500), 6), (.milliseconds(1), 3), (.milliseconds(2), 2), (.milliseconds(5), 1),
    ] as [(Duration?, Int)])
  func driverTells(_ cost: Duration?, read: Int) throws {
    var budget = HelloBudget()
    // Five of the assumed cost at once.
    budget.unchallenged = .zero
    budget.challenged = HelloBudget.assumedTime * 5
    let pair = try Pair(provider: EasyWork(seed: 1), helloPolicy: .automatic(budget))
    let hellos = try answeredHellos(8, to: pair)
    pair.bob.timeOfWork = { $0.isCausedByStrangers ? cost : nil }
    for datagram in hellos.joined() {
      pair.bob.receive(datagram.bytes, from: datagram.from, at: pair.now)
      _ = pair.bob.pump(at: pair.now)
    }
    #expect(pair.bob.halfOpenCount == read && pair.bob.diagnostics.waitingHellos == 8 - read)
  }

  @Test("work that is refused or forgotten makes room for the next", arguments: [true, false])
  func endedWork(isRefused: Bool) throws {
    var settings = Settings()
    settings.helloWorkLimit = 1
    let pair = try Pair(provider: EasyWork(seed: 1), helloPolicy: .challenge, settings: settings)
    let hellos = try answeredHellos(2, to: pair)
    pair.bob.isTooBusy = { _ in isRefused }
    pair.bob.losesWork = !isRefused
    for datagram in hellos.joined() { pair.bob.receive(datagram.bytes, from: datagram.from, at: pair.now) }
    #expect(pair.bob.diagnostics.waitingHellos == 1)
    _ = pair.bob.pump(at: pair.now)
    pair.bob.losesWork = false
    pair.bob.isTooBusy = { _ in false }
    if !isRefused { #expect(pair.bob.nextDeadline == pair.now.advanced(by: .seconds(5)), "the end of its wait") }
    pair.run(for: isRefused ? .zero : .seconds(10))
    #expect(pair.bob.diagnostics.waitingHellos == 0)
    #expect(pair.bob.statistics[.queueTimeout] == (isRefused ? 0 : 1) && pair.bob.halfOpenCount == (isRefused ? 1 : 0))
    // None is under way any more.
    for datagram in try answeredHellos(1, to: pair).joined() {
      pair.bob.receive(datagram.bytes, from: datagram.from, at: pair.now)
    }
    #expect(pair.bob.diagnostics.waitingHellos == 0)
  }

  // [DEC-80]
  @Test("a Hello whose answer was redeemed waits until there is room for its handshake")
  func noRoom() throws {
    var settings = Settings()
    settings.helloWorkLimit = 1
    settings.halfOpenLimit = 2
    let pair = try Pair(provider: EasyWork(seed: 1), helloPolicy: .challenge, settings: settings)
    let hellos = try answeredHellos(3, to: pair, from: strangersWithAState(3, to: pair))
    pair.bob.answerStore = { _ in nil }
    for datagram in hellos.joined() { pair.bob.receive(datagram.bytes, from: datagram.from, at: pair.now) }
    #expect(pair.bob.diagnostics.waitingHellos == 2)
    _ = pair.bob.pump(at: pair.now)
    // Two wait for the store, and make no room.
    #expect(pair.bob.diagnostics.waitingHellos == 1 && pair.bob.halfOpenCount == 2)
    #expect(pair.bob.statistics[.busy] == 0 && pair.bob.nextDeadline == pair.now.advanced(by: .seconds(5)))
    pair.bob.answer(try #require(pair.bob.unanswered.first?.id), .unknown, at: pair.now)
    _ = pair.bob.pump(at: pair.now)
    #expect(pair.bob.diagnostics.waitingHellos == 0 && pair.bob.halfOpenCount == 2)
    #expect(pair.bob.statistics[.evicted] == 1 && pair.bob.statistics[.busy] == 0)
  }

  /// Sends Bob Hellos of strangers that name a state each. His store does not answer.
  private func askTheStore(_ count: Int, of pair: Pair) throws {
    pair.bob.answerStore = { _ in nil }
    for peer in try strangersWithAState(count, to: pair) {
      _ = try peer.open(to: pair.bob, at: pair.now)
      for datagram in peer.pump(at: pair.now) { pair.bob.receive(datagram.bytes, from: datagram.from, at: pair.now) }
      _ = pair.bob.pump(at: pair.now)
    }
  }

  // [DEC-81]
  /// The store is slow, and answers many look-ups at once.
  @Test("X2 are written within the limit on work under way, in turn", arguments: [true, false])
  func responsesUnderWay(isLimited: Bool) throws {
    var settings = Settings()
    settings.helloWorkLimit = 2
    let pair = try Pair(provider: EasyWork(seed: 1), helloPolicy: isLimited ? .automatic() : .allow, settings: settings)
    try askTheStore(6, of: pair)
    let work = pair.bob.statistics.publicKeyWork
    #expect(pair.bob.unanswered.count == 6 && work == 6)
    for (id, _) in pair.bob.unanswered { pair.bob.answer(id, .unknown, at: pair.now) }
    #expect(pair.bob.statistics.publicKeyWork - work == (isLimited ? 2 : 6))
    let sent = pair.bob.pump(at: pair.now)
    #expect(pair.bob.statistics.publicKeyWork - work == 6)
    #expect(Set(sent.map(\.to)) == Set((0..<6).map(stranger)), "each gets its X2")
  }

  @Test("an X2 that waits to be written and is forgotten is not written, and makes room")
  func forgottenResponse() throws {
    var settings = Settings()
    settings.helloWorkLimit = 1
    let pair = try Pair(provider: EasyWork(seed: 1), helloPolicy: .automatic(), settings: settings)
    try askTheStore(3, of: pair)
    let work = pair.bob.statistics.publicKeyWork
    for (id, _) in pair.bob.unanswered { pair.bob.answer(id, .unknown, at: pair.now) }
    pair.bob.losesWork = true
    _ = pair.bob.pump(at: pair.now)
    pair.run(for: .seconds(10))
    #expect(pair.bob.halfOpenCount == 0 && pair.bob.diagnostics.timers == 0 && pair.bob.diagnostics.requests == 0)
    #expect(pair.bob.statistics.publicKeyWork - work == 1)
    pair.bob.losesWork = false
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.bob.answerStore = nil
    pair.run(for: .seconds(2))
    #expect(pair.alice.state(session) == "S2")
  }

  // [DEC-26]
  @Test("a source with many half-open handshakes pushes out its own")
  func halfOpenHandshakes() throws {
    var settings = Settings()
    settings.halfOpenLimit = 8
    let pair = try Pair(provider: FastCrypto(seed: 4), settings: settings)
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    let hello = pair.intercept()
    for datagram in hello { pair.bob.receive(datagram.bytes, from: datagram.from, at: pair.now) }
    let response = pair.bob.pump(at: pair.now)
    for number in 0..<20 {
      let other = try TestPeer(pair.alice.configuration, at: Address(ipv4: 0x0B00_0000 + UInt32(number), port: 1))
      _ = try other.open(to: pair.bob, at: pair.now)
      for datagram in other.pump(at: pair.now) { pair.bob.receive(datagram.bytes, from: datagram.from, at: pair.now) }
      _ = pair.bob.pump(at: pair.now)
    }
    #expect(pair.bob.halfOpenCount == 8 && pair.bob.statistics[.evicted] == 13)
    for datagram in response { pair.deliver(datagram) }
    pair.settle()
    #expect(pair.alice.state(session) == "S2")
  }

  // [DEC-27]
  @Test("while every half-open handshake is being worked on, a new Hello is dropped and not challenged")
  func halfOpenHandshakesThatAreWorkedOn() throws {
    var settings = Settings()
    settings.halfOpenLimit = 1
    let pair = try Pair(provider: FastCrypto(seed: 4), settings: settings)
    pair.bob.losesWork = true
    for policy in [HelloPolicy.allow, .challenge] {
      pair.bob.helloPolicy = policy
      _ = try pair.alice.open(to: pair.bob, at: pair.now)
      for datagram in pair.intercept() { pair.deliver(datagram) }
      #expect(pair.bob.halfOpenCount == 1 && pair.bob.statistics[.evicted] == 0)
    }
    #expect(pair.bob.statistics[.busy] == 1 && pair.bob.statistics[.challenged] == 0)
  }
}
