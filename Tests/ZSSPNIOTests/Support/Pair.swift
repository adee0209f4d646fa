// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import Testing
import ZSSP
import ZSSPNIO
import ZSSPProviders

/// Settings of tests: what is repeated on loss is repeated soon, but not while a slow machine still
/// works on it.
func quickSettings(mtu: Int = 1400) -> Settings {
  var settings = Settings()
  settings.mtu = mtu
  settings.resendInterval = .milliseconds(200)
  return settings
}

func makeConfiguration(
  _ settings: Settings = quickSettings(), flags: SecurityFlags = .opportunistic,
  helloPolicy: HelloPolicy = .automatic()
) -> EndpointConfiguration {
  let provider = FastestProvider()
  return EndpointConfiguration(
    staticKey: provider.generateAgreementKey(), provider: provider, flags: flags,
    helloPolicy: helloPolicy, settings: settings)
}

func makeEndpoint(
  host: String = "127.0.0.1", _ settings: Settings = quickSettings(), flags: SecurityFlags = .opportunistic,
  helloPolicy: HelloPolicy = .automatic(), store: any RatchetStore = VolatileRatchetStore(),
  options: UDPOptions = UDPOptions(), on transport: Transport = .default
) async throws -> UDPEndpoint {
  try await UDPEndpoint.bind(
    host: host, port: 0, configuration: makeConfiguration(settings, flags: flags, helloPolicy: helloPolicy),
    store: store, options: options, eventLoopGroup: transport.eventLoopGroup)
}

/// Two endpoints and a session between them.
struct Pair {
  let client: UDPEndpoint
  let server: UDPEndpoint
  let clientSession: Session
  let serverSession: Session

  /// Connects two new endpoints, or fails. With `via` the client does not know where the server
  /// really is.
  static func connected(
    host: String = "127.0.0.1", _ settings: Settings = quickSettings(), options: UDPOptions = UDPOptions(),
    identity: [UInt8] = Array("client".utf8), on transport: Transport = .default,
    via relay: ((SocketAddress) async throws -> SocketAddress)? = nil
  ) async throws -> Pair {
    let server = try await makeEndpoint(host: host, settings, options: options, on: transport)
    let client = try await makeEndpoint(host: host, settings, options: options, on: transport)
    let address = try await relay?(server.localAddress) ?? server.localAddress
    async let accepted = acceptFirst(server)
    let session = try await client.connect(to: address, key: server.publicKey, identity: identity)
    return Pair(client: client, server: server, clientSession: session, serverSession: try await accepted)
  }

  func close() async {
    await client.close()
    await server.close()
  }
}

/// Accepts handshakes until one of them leads to a session.
func acceptFirst(_ endpoint: UDPEndpoint) async throws -> Session {
  for await handshake in endpoint.incoming {
    do {
      return try await handshake.accept()
    } catch .handshakeFailed, .expired {
      continue
    }
  }
  throw UDPError.closed
}

/// A message that did not come as it was sent.
struct ExchangeFailure: Error {
  let message: String
  /// The reason why the receiver's session has ended, if it has.
  let end: EndReason?
}

/// Sends `count` messages each way, each after the one before has come: nothing can overflow, so
/// nothing may be lost.
func exchange(_ pair: Pair, count: Int, largest: Int, seed: UInt64) async throws {
  let requests = MessagePattern(seed: seed, largest: largest)
  let replies = MessagePattern(seed: ~seed, largest: largest)
  // When one side fails the other does not wait for ever.
  try await withThrowingTaskGroup { group in
    group.addTask {
      var messages = pair.serverSession.messages.makeAsyncIterator()
      for number in 0..<count {
        guard await messages.next() == requests.message(number) else {
          throw ExchangeFailure(message: "request \(number)", end: pair.serverSession.endReason)
        }
        try await pair.serverSession.send(replies.message(number))
      }
    }
    group.addTask {
      var messages = pair.clientSession.messages.makeAsyncIterator()
      for number in 0..<count {
        try await pair.clientSession.send(requests.message(number))
        guard await messages.next() == replies.message(number) else {
          throw ExchangeFailure(message: "reply \(number)", end: pair.clientSession.endReason)
        }
      }
    }
    try await group.waitForAll()
  }
}

/// Waits until `condition` holds for the statistics.
func wait(for endpoint: UDPEndpoint, _ condition: (EndpointStatistics) -> Bool) async throws {
  while !condition(await endpoint.statistics()) {
    try Task.checkCancellation()
    try await Task.sleep(for: .milliseconds(1))
  }
}

/// Returns true if ::1 can be bound here.
func hasIPv6Loopback() async -> Bool {
  do {
    try await makeEndpoint(host: "::1").close()
    return true
  } catch {
    return false
  }
}

/// Records that something else came out than should have.
func unexpected(_ outcome: some Any, sourceLocation: SourceLocation = #_sourceLocation) {
  Issue.record("unexpected: \(String(describing: outcome))", sourceLocation: sourceLocation)
}
