// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOConcurrencyHelpers
import NIOCore
import Testing
import ZSSPTestSupport

@testable import ZSSPOpenMetrics

/// The server, and what hostile clients can do to it.
@Suite(.tags(.slow), .serialized, .ownThreads, .timeLimit(.minutes(10)))
struct ServerTests {
  private static var families: [MetricFamily] {
    var family = MetricFamily("g", kind: .gauge, help: "G.")
    family.add(1)
    return [family]
  }

  private let text = Exposition.text(of: families, as: .prometheus)

  private func serve(
    _ address: String = "127.0.0.1:0", limits: MetricsServer.Limits? = nil,
    content: @escaping MetricsServer.Content = { families }
  ) async throws -> MetricsServer {
    try await MetricsServer.start(on: MetricsAddress(address), limits: limits ?? self.limits { _ in }, content: content)
  }

  private func limits(_ change: (inout MetricsServer.Limits) -> Void) -> MetricsServer.Limits {
    var limits = MetricsServer.Limits()
    // A starved machine may take long to answer.
    limits.patience = .seconds(600)
    change(&limits)
    return limits
  }

  // MARK: Requests

  @Test func metricsInBothFormats() async throws {
    let server = try await serve()
    let plain = try Client.get("/metrics", from: server.address)
    #expect(plain.status == 200 && plain.body == text)
    #expect(plain.headers["content-type"] == MetricsFormat.prometheus.contentType)
    #expect(plain.headers["connection"] == "close")
    let open = try Client.get("/metrics?x=y", headers: "Accept: application/openmetrics-text\r\n", from: server.address)
    #expect(open.status == 200 && open.body == Exposition.text(of: Self.families, as: .openMetrics))
    #expect(open.headers["content-type"] == MetricsFormat.openMetrics.contentType)
    let health = try Client.get("/healthz", from: server.address)
    #expect(health.status == 200 && health.body == "ok\n")
    await server.stop()
  }

  @Test(arguments: ["/metrics", "/healthz", "/other"]) func headHasTheHeadersOfGetWithoutABody(path: String)
    async throws
  {
    let server = try await serve()
    let head = try Client.exchange("HEAD \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n", with: server.address)
    let get = try Client.get(path, from: server.address)
    #expect(head.status == get.status && head.body.isEmpty && head.headers == get.headers)
    #expect(get.headers["content-length"] == "\(get.body.utf8.count)")
    await server.stop()
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404), ("GET /metrics/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ("GET //metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ("GET /Metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ("GET /..%2fmetrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ("GET http://localhost/other HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ("GET /\(String(repeating: "a", count: 4000)) HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405),
    ("DELETE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ("OPTIONS /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 413),
    ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 413),
    ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: \(String(repeating: "a", count: 9000))\r\n\r\n", 431),
    ("GET /\(String(repeating: "a", count: 9000)) HTTP/1.1\r\n", 431), (String(repeating: "x", count: 9000), 400),
    ("nonsense\r\n\r\n", 400), ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", 400),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400), ("GET /metrics HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("GET /metrics HTTP/1.0\r\n\r\n", 200), ("GET /metrics HTTP/1.0\r\nHost:\r\nHost:\r\n\r\n", 400),
    ("GET /metrics HTTP/1.1\r\n\r\n", 400), ("GET /metrics HTTP/1.1\r\nHost:\r\n\r\n", 421),
    ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    ("GET /metrics HTTP/1.1\r\nHost: me@localhost\r\n\r\n", 400),
    ("GET /metrics HTTP/1.1\r\nHost: localhost:80a\r\n\r\n", 400),
    ("GET /metrics HTTP/1.1\r\nHost: [127.0.0.1]\r\n\r\n", 400),
    ("GET /metrics HTTP/1.1\r\nHost: \t localhost \t\r\n\r\n", 200),
    ("GET http://localhost:9600/metrics?x HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200),
    ("GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 421),
    ("GET https://localhost/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ("GET http:///metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ("GET /metrics?x=http://a/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
    ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 200),
    ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n", 413),
    ("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", 413),
    ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", 413),
    ("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9600\r\n\r\n", 200),
    ("GET /metrics HTTP/1.1\r\nHost: [::1]:1\r\n\r\n", 200), ("GET /metrics HTTP/1.1\r\nHost: LOCALHOST\r\n\r\n", 200),
  ])
  func requests(request: String, status: Int) async throws {
    let server = try await serve()
    let response = try Client.exchange(request, with: server.address)
    #expect(response.status == status, "\(request.prefix(60)): \(response)")
    if status == 405 { #expect(response.headers["allow"] == "GET, HEAD") }
    if status == 200 { #expect(response.body == text) } else { #expect(!response.body.contains("# HELP")) }
    // The server still works.
    #expect(try Client.get("/healthz", from: server.address).status == 200)
    await server.stop()
  }

  /// A page in this host's browser, whose name leads to a loopback address, does not read the
  /// metrics.
  @Test(arguments: [
    "evil.example", "evil.example:9600", "localhost.evil.example", "127.0.0.1.evil.example", "[2001:db8::1]:9600",
    "192.0.2.1", "localhost\r\nHost: evil.example", "", "[127.evil.example]", "[::1]evil.example", "127.0.0.1:evil",
    "[::1",
  ])
  func namesThatAreNotThisHosts(host: String) async throws {
    let server = try await serve()
    let response = try Client.exchange("GET /metrics HTTP/1.1\r\nHost: \(host)\r\n\r\n", with: server.address)
    #expect(response.status == 421 || response.status == 400, "\(response)")
    await server.stop()
  }

  @Test func aRequestInPieces() async throws {
    let server = try await serve()
    let client = try Client(server.address)
    for character in "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" { client.send("\(character)") }
    #expect(Response(client.read()).status == 200)
    await server.stop()
  }

  /// A connection serves one request. Bytes after it are ignored.
  @Test func whatFollowsARequestIsIgnored() async throws {
    let server = try await serve()
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    let client = try Client(server.address)
    client.send(request + request + "nonsense" + String(repeating: "y", count: 100_000))
    let all = client.read()
    #expect(all.components(separatedBy: "HTTP/1.1 ").count == 2, "\(all.prefix(300))")
    await server.stop()
  }

  /// A client may close its half after its request, and still gets the response.
  @Test func aClientThatFinishesEarly() async throws {
    let server = try await serve()
    let client = try Client(server.address)
    client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    client.finish()
    #expect(Response(client.read()).body == text)
    // One that closes without a request gets none.
    let silent = try Client(server.address)
    silent.finish()
    #expect(silent.read().isEmpty)
    await server.stop()
  }

  // MARK: Limits

  /// A client that sends a request slowly, or none, is disconnected.
  @Test(arguments: ["", "G", "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: a"])
  func aSlowRequestIsNotWaitedFor(start: String) async throws {
    let server = try await serve(limits: limits { $0.patience = .milliseconds(200) })
    let client = try Client(server.address)
    client.send(start)
    // A byte now and then does not help.
    let isClosed = NIOLockedValueBox(false)
    let thread = Thread {
      _ = client.read()
      isClosed.withLockedValue { $0 = true }
    }
    thread.start()
    while !isClosed.withLockedValue({ $0 }) {
      client.send("a")
      try await Task.sleep(for: .milliseconds(20))
    }
    // On a busy processor this request may be too slow as well.
    while try Client.get("/healthz", from: server.address).status != 200 {}
    await server.stop()
  }

  /// Silent connections do not keep others out: the oldest gives way.
  @Test func silentConnectionsGiveWay() async throws {
    let server = try await serve(limits: limits { $0.connections = 4 })
    var silent: [Client] = []
    for _ in 0..<20 {
      silent.append(try Client(server.address))
      #expect(try Client.get("/healthz", from: server.address).status == 200)
    }
    // The first ones are disconnected.
    #expect(silent[0].read().isEmpty && silent[1].read().isEmpty)
    await server.stop()
  }

  /// Requests that are being answered keep their places; one more is turned away, and the metrics
  /// are gathered once.
  @Test func requestsThatAreBeingAnsweredStay() async throws {
    let gate = Gate()
    let server = try await serve(limits: limits { $0.connections = 3 }) {
      await gate.wait()
      return Self.families
    }
    var clients: [Client] = []
    for _ in 0..<3 {
      let client = try Client(server.address)
      client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
      clients.append(client)
    }
    while try await server.answeringCount() < clients.count || gate.waiting == 0 {
      try await Task.sleep(for: .milliseconds(1))
    }
    // All places are taken.
    #expect(try Client(server.address).read().isEmpty)
    #expect(try await server.answeringCount() == clients.count && gate.waiting == 1)
    gate.open()
    for client in clients { #expect(Response(client.read()).status == 200) }
    #expect(try Client.get("/metrics", from: server.address).status == 200)
    await server.stop()
  }

  /// Each request has the metrics of its time, not those of one before.
  @Test func metricsAreGatheredAgain() async throws {
    let number = NIOLockedValueBox<UInt64>(0)
    let server = try await serve {
      var family = MetricFamily("g", kind: .gauge, help: "G.")
      family.add(
        .count(
          number.withLockedValue { number in
            number += 1
            return number
          }))
      return [family]
    }
    for round in 1...3 {
      #expect(try Client.get("/metrics", from: server.address).body.hasSuffix("\ng \(round)\n"))
    }
    await server.stop()
  }

  @Test func stoppingClosesConnections() async throws {
    let server = try await serve()
    // One has sent nothing, and one a part of a request.
    let clients = [try Client(server.address), try Client(server.address)]
    clients[1].send("GET /metrics HTTP/1.1\r\n")
    // They were admitted before this one.
    #expect(try Client.get("/healthz", from: server.address).status == 200)
    await server.stop()
    for client in clients { #expect(client.read().isEmpty) }
  }

  @Test func withoutMetricsTheStatusSaysSo() async throws {
    let server = try await serve { nil }
    for path in ["/metrics", "/healthz"] { #expect(try Client.get(path, from: server.address).status == 503) }
    #expect(try Client.get("/x", from: server.address).status == 404)
    await server.stop()
  }

  /// The connection is closed if the metrics do not arrive in time.
  @Test func metricsThatNeverCome() async throws {
    let gate = Gate()
    let server = try await serve(limits: limits { $0.patience = .milliseconds(100) }) {
      await gate.wait()
      return nil
    }
    #expect(try Client.get("/metrics", from: server.address).status == 0)
    gate.open()
    await server.stop()
  }

  // MARK: Sockets

  @Test func aTakenPortIsNamed() async throws {
    let server = try await serve()
    await #expect(throws: MetricsServerError("\(server.address)", error: EADDRINUSE)) {
      try await serve("\(server.address)")
    }
    await server.stop()
    await server.stop()
    // It is free again.
    let next = try await serve("\(server.address)")
    await next.stop()
  }

  private func inFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "zssp-\(UUID().uuidString.prefix(8))").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    do { try await body(folder) } catch {
      try FileManager.default.removeItem(atPath: folder)
      throw error
    }
    try FileManager.default.removeItem(atPath: folder)
  }

  @Test func aUnixSocket() async throws {
    try await inFolder { folder in
      let path = "\(folder)/m"
      let server = try await serve(path)
      // Any name will do: a browser cannot come here.
      let request = "GET /metrics HTTP/1.1\r\nHost: anything\r\n\r\n"
      #expect(try Client.exchange(request, with: server.address).body == text)
      // HTTP/1.1 asks for one everywhere.
      #expect(try Client.exchange("GET /metrics HTTP/1.1\r\n\r\n", with: server.address).status == 400)
      let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
      #expect(mode?.intValue == 0o660)
      // A live one is not replaced.
      await #expect(throws: MetricsServerError.self) { try await serve(path) }
      #expect(try Client.exchange(request, with: server.address).status == 200)
      await server.stop()
      #expect(!FileManager.default.fileExists(atPath: path))
    }
  }

  /// The members of a group may connect.
  @Test(.enabled(if: getuid() == 0, "root is needed to give files to groups")) func theGroupOfASocket() async throws {
    try await inFolder { folder in
      let path = "\(folder)/m"
      let group = UInt32(getegid()) + 1
      let server = try await MetricsServer.start(on: MetricsAddress(path), socketGroup: group) { Self.families }
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      #expect((attributes[.groupOwnerAccountID] as? NSNumber)?.uint32Value == group)
      #expect((attributes[.ownerAccountID] as? NSNumber)?.uint32Value == UInt32(geteuid()))
      #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o660)
      await server.stop()
    }
  }

  @Test func aStaleSocketIsReplaced() async throws {
    try await inFolder { folder in
      let path = "\(folder)/m"
      // Bound, and closed without removing the file, as by a process that was killed.
      let left = try UnixListener(path: path, group: nil)
      close(left.descriptor)
      let server = try await serve(path)
      #expect(try Client.exchange("GET /healthz HTTP/1.0\r\n\r\n", with: server.address).status == 200)
      await server.stop()
    }
  }

  @Test func anotherKindOfFileStays() async throws {
    try await inFolder { folder in
      let path = "\(folder)/m"
      try Data("mine".utf8).write(to: URL(filePath: path))
      await #expect(throws: MetricsServerError.self) { try await serve(path) }
      #expect(try Data(contentsOf: URL(filePath: path)) == Data("mine".utf8))
      try FileManager.default.removeItem(atPath: path)
      try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "\(folder)/elsewhere")
      await #expect(throws: MetricsServerError.self) { try await serve(path) }
      await #expect(throws: MetricsServerError.self) { try await serve("\(folder)/missing/m") }
    }
  }

  /// The server removes only its own socket at the end.
  @Test func theSocketOfAnotherServerStays() async throws {
    try await inFolder { folder in
      let path = "\(folder)/m"
      let first = try await serve(path)
      unlink(path)
      let second = try await serve(path)
      await first.stop()
      #expect(try Client.exchange("GET /healthz HTTP/1.0\r\n\r\n", with: second.address).status == 200)
      await second.stop()
      #expect(!FileManager.default.fileExists(atPath: path))
    }
  }
}

/// Holds tasks until it is opened.
final class Gate: Sendable {
  private let state = NIOLockedValueBox((isOpen: false, waiting: [CheckedContinuation<Void, Never>]()))

  /// The number of tasks that wait.
  var waiting: Int { state.withLockedValue { $0.waiting.count } }

  /// Waits until the gate is open.
  func wait() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLockedValue { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  /// Lets all tasks go on.
  func open() {
    let waiting = state.withLockedValue { state in
      defer { state.waiting = [] }
      state.isOpen = true
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}
