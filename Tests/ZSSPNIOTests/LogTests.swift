// SPDX-License-Identifier: Apache-2.0
import InMemoryLogging
import Logging
import NIOConcurrencyHelpers
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto
import ZSSPTesting

@testable import ZSSPNIO

/// The log records of endpoints.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct LogTests {
  private static func logger(_ level: Logger.Level) -> (Logger, InMemoryLogHandler) {
    let handler = InMemoryLogHandler()
    var logger = Logger(label: "test") { _ in handler }
    logger.logLevel = level
    return (logger, handler)
  }

  /// Every text of every entry.
  private static func text(_ handler: InMemoryLogHandler) -> String {
    handler.entries.map { "\($0.level) \($0.message) \($0.metadata)" }.joined(separator: "\n")
  }

  @Test func sessionsAreLogged() async throws {
    let network = TestNetwork()
    let (logger, handler) = Self.logger(.trace)
    let server = try await network.endpoint(
      at: "10.0.0.2:4500", configuration: testConfiguration(), logger: logger)
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    async let accepted = acceptFirst(server)
    let session = try await client.connect(
      to: server.localAddress, key: server.publicKey, identity: Array("an identity".utf8))
    let other = try await accepted
    try await session.send(Array("a message".utf8))
    #expect(await other.messages.first { _ in true } != nil)
    await other.close()
    let established = try #require(handler.entries.first { "\($0.message)" == "session established" })
    #expect(established.level == .info && established.metadata["zssp.peer"] == "\(client.publicKey)")
    #expect(established.metadata["zssp.address"] == "10.0.0.1:1000")
    let ended = try #require(handler.entries.first { "\($0.message)" == "session ended" })
    #expect(ended.metadata["zssp.session"] == established.metadata["zssp.session"])
    #expect(ended.metadata["zssp.reason"] == "this side closed it")
    // What a peer says is for the application alone.
    #expect(!Self.text(handler).contains("an identity") && !Self.text(handler).contains("a message"))
    await client.close()
    await server.close()
  }

  /// A Hello that a persistent endpoint does not accept is dropped after public-key work, or, if it
  /// names a state, after a look-up in the store.
  @Test(arguments: [false, true]) func lateDropsAreLogged(namesState: Bool) async throws {
    let network = TestNetwork()
    let (logger, handler) = Self.logger(.debug)
    let server = try await network.endpoint(
      at: "10.0.0.2:4500", configuration: testConfiguration(Settings(), .persistent), logger: logger)
    let store = VolatileRatchetStore()
    if namesState { _ = try await store.enrol(server.publicKey, with: .generate()) }
    let client = try await network.endpoint(at: "10.0.0.1:1000", configuration: testConfiguration(), store: store)
    let connecting = Task {
      try await client.connect(to: "10.0.0.2:4500", key: server.publicKey, timeout: .seconds(3))
    }
    try #require(await network.advance { await server.statistics().endpoint[.unknownRatchet] > 0 })
    #expect(handler.entries.contains { $0.metadata["zssp.reason"] == "unknownRatchet" })
    connecting.cancel()
    await #expect(throws: UDPError.self) { try await connecting.value }
    await client.close()
    await server.close()
  }

  /// An attempt without a session is no session that ends.
  @Test func attemptsAreNotSessions() async throws {
    let network = TestNetwork()
    let (logger, handler) = Self.logger(.trace)
    let client = try await network.endpoint(
      at: "10.0.0.1:1000", configuration: testConfiguration(), logger: logger)
    let connecting = Task {
      try await client.connect(to: "10.0.0.2:4500", key: StaticKey().publicKey, timeout: .seconds(1))
    }
    while await client.statistics().sessions == 0 { try await Task.sleep(for: .milliseconds(1)) }
    await network.advance(by: .seconds(2))
    await #expect(throws: UDPError.self) { try await connecting.value }
    #expect(!handler.entries.contains { "\($0.message)" == "session ended" })
    #expect(handler.entries.first { "\($0.message)" == "attempt ended" }?.level == .debug)
    await client.close()
  }

  /// A peer that moves all the time is some lines a second.
  @Test func movesAreLoggedWithinBounds() async throws {
    let (pair, _) = try await NetworkPair.connected(on: TestNetwork())
    let (logger, handler) = Self.logger(.info)
    let log = EndpointLog(logger)
    for port in UInt16(1)...100 {
      log.moved(pair.session.id, peer: nil, to: Address(ipv4: 1, port: port), at: Instant(nanoseconds: 0))
    }
    #expect(handler.entries.count == LogLimiter.linesPerSecond)
    await pair.close()
  }

  /// Lines about a session name its peer, and its owner's name is asked for written lines only.
  @Test func sessionsHaveTheirPeer() async throws {
    let (pair, _) = try await NetworkPair.connected(on: TestNetwork())
    let (logger, handler) = Self.logger(.debug)
    let asked = NIOLockedValueBox(0)
    let log = EndpointLog(logger) { _ in
      asked.withLockedValue { $0 += 1 }
      return "home"
    }
    let peer = StaticKey().publicKey
    let now = Instant(nanoseconds: 0)
    for _ in 0..<100 { log.rekeyed(pair.session.id, peer: peer, chainLength: 2, at: now) }
    log.ended(pair.session.id, peer: peer, reason: .closed, wasEstablished: true, at: now)
    log.restarted(pair.session.id, peer: peer, reason: .timeout, at: now)
    #expect(handler.entries.count == LogLimiter.linesPerSecond + 2)
    #expect(asked.withLockedValue { $0 } == handler.entries.count)
    #expect(
      handler.entries.allSatisfy { entry in
        entry.metadata["zssp.peer"] == "\(peer)" && entry.metadata["zssp.name"] == "home"
      })
    await pair.close()
  }

  /// A flood of nonsense is some lines a second, which say how many others there were.
  @Test func dropsAreLoggedWithinBounds() async throws {
    let (logger, handler) = Self.logger(.debug)
    let network = TestNetwork()
    let server = try await network.endpoint(
      at: "10.0.0.2:4500", configuration: testConfiguration(), logger: logger)
    let target = Address(ipv4: 0x0A00_0002, port: 4500)
    let source = Address(ipv4: 0x0A00_0009, port: 7)
    for _ in 0..<100 { network.send([1, 2, 3], from: source, to: target) }
    while await server.statistics().endpoint[.badLength] < 100 { await Task.yield() }
    func drops() -> [InMemoryLogHandler.Entry] { handler.entries.filter { "\($0.message)" == "datagram dropped" } }
    #expect(drops().count == LogLimiter.linesPerSecond)
    let first = try #require(drops().first)
    #expect(first.level == .debug && first.metadata["zssp.reason"] == "badLength")
    #expect(first.metadata["zssp.address"] == "10.0.0.9:7")
    await network.advance(by: .seconds(1))
    network.send([1], from: source, to: target)
    while await server.statistics().endpoint[.badLength] < 101 { await Task.yield() }
    #expect(drops().last?.metadata["zssp.suppressed"] == "90")
    await server.close()
  }

  /// Above debug nobody looks for drops.
  @Test func dropsAreNotLoggedAtInfo() async throws {
    let (logger, handler) = Self.logger(.info)
    let network = TestNetwork()
    let server = try await network.endpoint(
      at: "10.0.0.2:4500", configuration: testConfiguration(), logger: logger)
    let source = Address(ipv4: 0x0A00_0009, port: 7)
    network.send([1, 2, 3], from: source, to: Address(ipv4: 0x0A00_0002, port: 4500))
    while await server.statistics().endpoint[.badLength] < 1 { await Task.yield() }
    #expect(!Self.text(handler).contains("dropped"))
    await server.close()
  }

  /// A warning says that the application does not read the handshakes.
  @Test func unreadHandshakesAreWarnedOf() async throws {
    let (logger, handler) = Self.logger(.info)
    let network = TestNetwork()
    let server = try await network.endpoint(
      at: "10.0.0.2:4500", configuration: testConfiguration(), logger: logger)
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let connecting = Task { try? await client.connect(to: server.localAddress, key: server.publicKey) }
    #expect(await network.advance { await server.statistics().transport.incomingUnread > 0 })
    let warning = try #require(handler.entries.first { $0.level == .warning })
    #expect("\(warning.message)".contains("nothing reads"))
    connecting.cancel()
    _ = await connecting.value
    await client.close()
    await server.close()
  }

  /// Lines below the level take nothing of the limit of those that are written, and each kind has a
  /// limit of its own.
  @Test func hiddenLinesAreNotCounted() {
    let (logger, handler) = Self.logger(.info)
    let log = EndpointLog(logger)
    let now = Instant(nanoseconds: 0)
    for _ in 0..<100 { log.expired(isUnread: false, at: now) }
    #expect(handler.entries.isEmpty)
    for _ in 0..<100 { log.expired(isUnread: true, at: now) }
    for _ in 0..<100 { log.failed(.notAuthentic, at: now) }
    #expect(handler.entries.count { $0.level == .warning } == LogLimiter.linesPerSecond)
    #expect(handler.entries.count { $0.level == .notice } == LogLimiter.linesPerSecond)
    #expect(handler.entries.allSatisfy { $0.metadata["zssp.suppressed"] == nil })
  }

  @Test func linesASecond() {
    var limiter = LogLimiter()
    let start = Instant(nanoseconds: 5)
    for _ in 0..<LogLimiter.linesPerSecond { #expect(limiter.admit(at: start) == .line(suppressed: 0)) }
    for _ in 0..<7 { #expect(limiter.admit(at: start.advanced(by: .milliseconds(999))) == .suppressed) }
    #expect(limiter.admit(at: start.advanced(by: .seconds(1))) == .line(suppressed: 7))
    #expect(limiter.admit(at: start.advanced(by: .seconds(1))) == .line(suppressed: 0))
  }
}
