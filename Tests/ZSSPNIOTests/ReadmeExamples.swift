// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import SwiftZSSP

// The examples of README.md and of SwiftZSSP's articles, which DocumentationTests finds here: with
// one import of the package.

func greet() async throws -> String? {
  func endpoint() async throws -> UDPEndpoint {
    try await .bind(
      host: "127.0.0.1", port: 0, configuration: .init(staticKey: StaticKey().agreementKey, provider: .swiftCrypto))
  }
  let client = try await endpoint()
  let server = try await endpoint()
  async let accepted = server.incoming.first { $0.peer == client.publicKey }?.accept()
  let session = try await client.connect(to: server.localAddress, key: server.publicKey)
  try await session.send(Array("hello".utf8))
  let message = try await accepted?.messages.first { _ in true }
  return message.map { String(decoding: $0, as: UTF8.self) }
}

/// Every type that the README names is there with the same import.
private let named: [Any.Type] = [
  UDPEndpoint.self, Session.self, ReconnectingSession.self, StaticKey.self, PublicKey.self, OneTimePassword.self,
  AllowList.self, EndpointConfiguration.self, SocketAddress.self, Logger.self, Settings.self,
]

#if SQLite
  func sensor(reading: String) async throws {
    let key = try StaticKey.loadOrCreate(at: "/var/lib/sensor/key.pem")
    let store = try SQLiteRatchetStore(path: "/var/lib/sensor/ratchets.db", provider: .swiftCrypto)
    let gateway = try PublicKey(text: "A6qHyiK+iwU3jrHHHvMgrXRuHTtii6ebmFn3QeCCVCo4VQLyXb9VKWw6VF44cnYKtw==")
    _ = try await store.enrol(gateway, with: OneTimePassword(text: "the password of both sides, 32 bytes or more"))
    let endpoint = try await UDPEndpoint.bind(
      host: "::", port: 0,
      configuration: .init(staticKey: key.agreementKey, provider: .swiftCrypto, flags: .persistent), store: store)
    let session = try endpoint.reconnectingSession(to: "gw.example:4500", key: gateway)
    try await session.send(Array(reading.utf8))
    await session.close()
  }

  func gateway(password: OneTimePassword, of sensor: PublicKey) async throws {
    let key = try StaticKey.loadOrCreate(at: "/var/lib/gateway/key.pem")
    let store = try SQLiteRatchetStore(path: "/var/lib/gateway/ratchets.db", provider: .swiftCrypto)
    _ = try await store.enrol(sensor, with: password)
    let endpoint = try await UDPEndpoint.bind(
      host: "::", port: 4500,
      configuration: .init(staticKey: key.agreementKey, provider: .swiftCrypto, flags: .persistent), store: store)
    await serve([sensor], at: endpoint)
  }
#endif

@Suite("README", .tags(.slow), .timeLimit(.minutes(20)))
struct ReadmeTests {
  @Test func theLibraryExampleWorks() async throws {
    #expect(try await greet() == "hello")
    #expect(!named.isEmpty)
  }
}
