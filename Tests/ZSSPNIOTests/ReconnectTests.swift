// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPRandom
import ZSSPSwiftCrypto
import ZSSPTesting

@testable import ZSSPNIO

/// Sessions that are opened again.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct ReconnectTests {
  /// Settings with which a peer that is gone is noticed within a minute.
  private static var settings: Settings {
    var settings = Settings()
    settings.rekeyAfter = .seconds(30)
    settings.rekeyJitter = .zero
    settings.rekeyTimeout = .seconds(5)
    return settings
  }

  /// The server restarts with its key and its store; the client goes on with the ratchet, in
  /// persistent mode.
  @Test func aServerThatRestarts() async throws {
    let network = TestNetwork()
    let key = StaticKey()
    let clientKey = StaticKey()
    let store = VolatileRatchetStore()
    let clientStore = VolatileRatchetStore()
    let password = OneTimePassword.generate()
    _ = try await store.enrol(clientKey.publicKey, with: password)
    _ = try await clientStore.enrol(key.publicKey, with: password)
    func bind() async throws -> UDPEndpoint {
      try await makeEndpoint(
        on: network, at: "10.0.0.2:4500", settings: Self.settings, flags: .persistent, key: key, store: store)
    }
    let first = try await bind()
    let serving = first.serve(tag: 1)
    let client = try await makeEndpoint(
      on: network, at: "10.0.0.1:1000", settings: Self.settings, flags: .persistent, key: clientKey,
      store: clientStore)
    try network.setAddresses(["10.0.0.2:0"], of: "gw")
    let session = try client.reconnectingSession(to: "gw:4500", key: key.publicKey)
    var messages = session.messages.makeAsyncIterator()
    try await session.send([1])
    #expect(await messages.next() == [1, 1])
    #expect(session.session?.establishment.chainLength == 2)

    await first.close()
    await serving.value
    try await network.wait(for: session) { if case .waiting(_, after: .sessionEnded) = $0 { true } else { false } }
    let second = try await bind()
    let servingAgain = second.serve(tag: 2)
    try await network.wait(for: session) { if case .connected = $0 { true } else { false } }
    try await session.send([5])
    // One queue of messages for all sessions, and one chain of ratchets.
    #expect(await messages.next() == [2, 5])
    #expect((session.session?.establishment.chainLength ?? 0) > 2)
    #expect(session.session?.establishment.downgradedFrom == nil)
    await session.close()
    #expect(session.state == .ended(.closed))
    #expect(await messages.next() == nil)
    await second.close()
    await servingAgain.value
    await client.close()
  }

  /// The return of the server of ``aServerThatIsKilled(_:)``, and the client's actions meanwhile.
  struct Comeback: CustomTestStringConvertible {
    var sends = true
    var moves = false
    var loss = 0.0
    /// The addresses of the name at which nobody is, before the server's.
    var dead = 0
    var testDescription: String { "sends: \(sends), moves: \(moves), loss: \(loss), dead: \(dead)" }
  }

  /// A server that is killed says nothing, and its successor knows nothing of the session. Another
  /// session is there within six seconds, whether or not something is sent, also where the server
  /// has moved behind its name; where a fifth of all datagrams is lost, soon.
  @Test(arguments: [
    Comeback(), Comeback(sends: false), Comeback(moves: true), Comeback(sends: false, moves: true), Comeback(loss: 0.2),
    Comeback(dead: 1), Comeback(sends: false, dead: 3),
  ]) func aServerThatIsKilled(_ comeback: Comeback) async throws {
    let network = TestNetwork(seed: 7)
    let key = StaticKey()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let first = try await makeEndpoint(on: network, at: "10.0.0.2:4500", key: key)
    let serving = first.serve(tag: 1)
    let dead = (0..<comeback.dead).map { "10.0.1.\($0):0" }
    try network.setAddresses(dead + ["10.0.0.2:0"], of: "gw")
    let session = try client.reconnectingSession(to: "gw:4500", key: key.publicKey)
    let heard = SharedBox<[[UInt8]]>([])
    let reading = Task { for await message in session.messages { heard.update { $0.append(message) } } }
    try await network.wait(for: session) { if case .connected = $0 { true } else { false } }
    try await session.send([1])
    try #require(await network.advance { heard.value.contains([1, 1]) })
    // Sessions that end sooner count as failures.
    await network.advance(by: .seconds(31), step: .milliseconds(150))
    let before = try #require(session.session)
    network.cutOff(first)
    await first.close()
    await serving.value
    let address = comeback.moves ? "10.0.0.3" : "10.0.0.2"
    let second = try await makeEndpoint(on: network, at: "\(address):4500", key: key)
    try network.setAddresses(dead + ["\(address):0"], of: "gw")
    let servingAgain = second.serve(tag: 2)
    network.conditions.loss = comeback.loss
    let start = network.now
    func isBack() -> Bool {
      guard let session = session.session, session !== before else { return false }
      return !comeback.sends || heard.value.contains([2, 2])
    }
    var step = 0
    while !isBack(), network.now - start < .seconds(60) {
      if comeback.sends, step % 10 == 0 { try await session.send([2], whenDisconnected: .drop) }
      await network.advance(by: .milliseconds(50))
      // Time does not run away from the tasks that watch the session.
      try await Task.sleep(for: .milliseconds(2))
      step += 1
    }
    #expect(isBack() && before.endReason == .peerSilent)
    if comeback.loss == 0 { #expect(network.now - start <= .seconds(6)) }
    await session.close()
    await reading.value
    await second.close()
    await servingAgain.value
    await client.close()
  }

  /// However many addresses of a name are dead, and however short the time is, each is tried.
  @Test(arguments: [(1, 2_500), (3, 4_400), (13, 30_000)])
  func allAddressesAreTried(dead: Int, timeout: Int64) async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500")
    let serving = server.serve(tag: 1)
    try network.setAddresses((0..<dead).map { "10.0.1.\($0):0" } + ["10.0.0.2:0"], of: "gw")
    let connecting = Task {
      try await client.connect(to: "gw:4500", key: server.publicKey, timeout: .milliseconds(timeout))
    }
    try #require(await network.advance(atMost: .milliseconds(timeout)) { await server.statistics().sessions == 1 })
    await (try connecting.value).close()
    await server.close()
    await serving.value
    await client.close()
  }

  /// Messages that nobody reads are counted, here and among those of the endpoint.
  @Test func droppedMessagesAreCounted() async throws {
    let network = TestNetwork()
    var options = UDPOptions()
    options.messageBuffer = 2
    let client = try await network.endpoint(
      at: "10.0.0.1:1000", configuration: testConfiguration(), options: options)
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500")
    let accepting = Task { try await acceptFirst(server) }
    let session = try client.reconnectingSession(to: "10.0.0.2:4500", key: server.publicKey)
    let other = try await accepting.value
    try await network.wait(for: session) { if case .connected = $0 { true } else { false } }
    for number in UInt8(0)..<10 { try await other.send([number]) }
    #expect(await network.advance(atMost: .seconds(60)) { session.droppedMessages == 8 })
    #expect(await client.statistics().transport.messagesDropped == 8)
    await session.close()
    await server.close()
    await client.close()
  }

  /// Two sides that both reconnect end with one session, which lasts.
  @Test func bothSidesReconnect() async throws {
    let network = TestNetwork()
    let ends = [
      try await makeEndpoint(on: network, at: "10.0.0.1:4500"),
      try await makeEndpoint(on: network, at: "10.0.0.2:4500"),
    ]
    let serving = [ends[0].serve(tag: 1), ends[1].serve(tag: 2)]
    let first = try ends[0].reconnectingSession(to: "10.0.0.2:4500", key: ends[1].publicKey)
    try await network.wait(for: first) { if case .connected = $0 { true } else { false } }
    let second = try ends[1].reconnectingSession(to: "10.0.0.1:4500", key: ends[0].publicKey)
    try await network.wait(for: second) { if case .connected = $0 { true } else { false } }
    let kept = try #require(second.session)
    for _ in 0..<10 where second.session === kept {
      await network.advance(by: .seconds(60), step: .milliseconds(250))
    }
    #expect(second.session === kept && kept.endReason == nil)
    guard case .waiting(_, after: .sessionEnded(.replaced)) = first.state else { return unexpected(first.state) }
    #expect(await ends[0].statistics().endpoint.sessionsEstablished == 2)
    // When that session ends, both may open another.
    await second.close()
    try await network.wait(for: first) { if case .connected = $0 { true } else { false } }
    await first.close()
    for end in ends { await end.close() }
    for task in serving { await task.value }
  }

  /// The watch decides about a session, check by check.
  @Test func silenceIsWatched() async throws {
    let network = TestNetwork()
    let (pair, other) = try await NetworkPair.connected(on: network)
    var watch = SilenceWatch(limit: .seconds(4), idleProbe: nil)
    func look() async throws -> SilenceWatch.Verdict {
      await network.advance(by: SilenceWatch.interval)
      return watch.look(at: try #require(await pair.session.snapshot()), now: pair.client.handle.now)
    }
    for _ in 0..<3 { #expect(try await look() == .isThere) }
    try await pair.session.send([1])
    try await other.send([2])
    await network.settle()
    #expect(try await look() == .isThere)
    // What came before the message is no answer to it.
    try await other.send([4])
    await network.settle()
    network.separate(pair.client, pair.server)
    try await pair.session.send([3])
    for _ in 0..<7 { #expect(try await look() == .isThere) }
    for _ in 0..<20 { #expect(try await look() == .probe) }
    #expect(try await look() == .isGone)
    // Nothing is sent, and nothing comes.
    watch = SilenceWatch(limit: .seconds(1), idleProbe: .seconds(10))
    network.heal()
    // Was sent before this watch.
    #expect(try await look() == .isThere)
    await pair.session.probe()
    await network.settle()
    for _ in 0..<66 { #expect(try await look() == .isThere) }
    #expect(try await look() == .probe)
    for _ in 0..<6 { #expect(try await look() == .isThere) }
    #expect(try await look() == .isGone)
    // Whoever stood still has asked nobody.
    watch = SilenceWatch(limit: .seconds(4), idleProbe: nil)
    network.separate(pair.client, pair.server)
    #expect(try await look() == .isThere)
    await network.advance(by: .seconds(20), step: .seconds(20))
    for _ in 0..<13 { #expect(try await look() == .probe) }
    #expect(try await look() == .isGone)
    await pair.close()
  }

  /// A client that only sends keeps its session over a path that loses a fifth of all datagrams in
  /// each direction.
  @Test func aLossyPathEndsNoSession() async throws {
    let network = TestNetwork(seed: 3)
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500")
    let serving = Task { for await incoming in server.incoming { _ = try? await incoming.accept() } }
    let session = try client.reconnectingSession(to: "10.0.0.2:4500", key: server.publicKey)
    try await network.wait(for: session) { if case .connected = $0 { true } else { false } }
    let first = try #require(session.session)
    network.conditions.loss = 0.2
    for _ in 0..<600 {
      try #require(try await session.send([1], whenDisconnected: .drop))
      await network.advance(by: .seconds(1))
    }
    #expect(session.session === first && first.endReason == nil)
    await session.close()
    await server.close()
    await serving.value
    await client.close()
  }

  /// The name stands for another address after the server has moved.
  @Test func namesAreResolvedAgain() async throws {
    let network = TestNetwork()
    let key = StaticKey()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    var options = ReconnectOptions()
    options.attemptTimeout = .seconds(12)
    let session = try client.reconnectingSession(to: "gw:4500", key: key.publicKey, options: options)
    // Not known at all.
    try await network.wait(for: session) { if case .waiting(_, after: .invalidAddress) = $0 { true } else { false } }
    // Nobody there.
    try network.setAddresses(["10.0.0.3:0"], of: "gw")
    try await network.wait(for: session) { if case .waiting(_, after: .timeout) = $0 { true } else { false } }
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500", key: key)
    let serving = server.serve(tag: 1)
    try network.setAddresses(["10.0.0.2:0"], of: "gw")
    try await network.wait(for: session) { if case .connected = $0 { true } else { false } }
    await session.close()
    await server.close()
    await serving.value
    await client.close()
  }

  @Test func statesInOrder() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let peer = try await ScriptedPeer(on: network, at: "10.0.0.2:4500", configuration: testConfiguration())
    let script = Task { try await peer.run([.reject, .accept]) }
    let session = try client.reconnectingSession(to: "10.0.0.2:4500", key: peer.publicKey)
    var states = session.states.makeAsyncIterator()
    #expect(await states.next() == .connecting(attempt: 1))
    guard case .waiting(let pause, after: .rejected)? = await states.next() else { return unexpected("no pause") }
    #expect(pause >= .milliseconds(250) && pause <= .milliseconds(500))
    await network.advance(by: .seconds(1))
    #expect(await states.next() == .connecting(attempt: 2))
    #expect(await states.next() == .connected(to: peer.address))
    try await script.value
    await session.close()
    #expect(await states.next() == .ended(.closed))
    #expect(await states.next() == nil)
    // Whoever comes later learns the end, and nothing else.
    var late = session.states.makeAsyncIterator()
    #expect(await late.next() == .ended(.closed))
    #expect(await late.next() == nil)
    await peer.close()
    await client.close()
  }

  @Test func whatSendingDoesWithoutASession() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let key = StaticKey()
    let session = try client.reconnectingSession(to: "10.0.0.2:4500", key: key.publicKey)
    await #expect(throws: UDPError.disconnected) { try await session.send([1], whenDisconnected: .fail) }
    #expect(try await session.send([1], whenDisconnected: .drop) == false)
    let tooLong = [UInt8](repeating: 0, count: client.largestMessage + 1)
    await #expect(throws: UDPError.messageTooLarge(size: tooLong.count, limit: client.largestMessage)) {
      try await session.send(tooLong, whenDisconnected: .drop)
    }
    let cancelled = Task { try await session.send([2]) }
    cancelled.cancel()
    await #expect(throws: UDPError.cancelled) { try await cancelled.value }
    // Who waits gets the session that comes.
    let waiting = Task { try await session.send([3]) }
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500", key: key)
    let accepting = Task { try await acceptFirst(server) }
    try await network.wait(for: session) { if case .connected = $0 { true } else { false } }
    #expect(try await waiting.value)
    let other = try await accepting.value
    #expect(await other.messages.first { _ in true } == [3])
    await session.close()
    await #expect(throws: UDPError.closed) { try await session.send([4]) }
    await server.close()
    await client.close()
  }

  @Test func pausesDoubleWithJitter() {
    var options = ReconnectOptions()
    options.longestPause = .seconds(5)
    var generator = SplitMix64(seed: 9)
    var backoff = Backoff(options)
    for bound in [500, 1000, 2000, 4000, 5000, 5000] {
      let pause = backoff.next(using: &generator)
      #expect(pause >= .milliseconds(bound) / 2 && pause <= .milliseconds(bound))
    }
    for _ in 0..<100 { #expect(backoff.next(using: &generator) <= .seconds(5)) }
    backoff.reset()
    #expect(backoff.next(using: &generator) <= .milliseconds(500))
    options.shortestPause = .seconds(60)
    backoff = Backoff(options)
    #expect(backoff.next(using: &generator) <= .seconds(5))
    var pauses: Set<Duration> = []
    for _ in 0..<20 { pauses.insert(backoff.next(using: &generator)) }
    #expect(pauses.count > 10)
    options.shortestPause = .seconds(Int64.max)
    options.longestPause = .seconds(Int64.max)
    backoff = Backoff(options)
    #expect(backoff.next(using: &generator) > .seconds(86_400))
  }
}
