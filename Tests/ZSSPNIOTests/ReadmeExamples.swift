// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import SwiftZSSP

// The examples of README.md, which DocumentationTests finds here: with one import of the package.

func greet() async throws -> String? {
  func endpoint() async throws -> UDPEndpoint {
    try await .bind(
      host: "127.0.0.1", port: 0, configuration: .init(staticKey: StaticKey().agreementKey, provider: .swiftCrypto))
  }
  let (alice, bob) = (try await endpoint(), try await endpoint())
  async let accepted = bob.incoming.first { $0.peer == alice.publicKey }?.accept()
  let session = try await alice.connect(to: bob.localAddress, key: bob.publicKey)
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
#endif

@Suite("README", .tags(.slow), .timeLimit(.minutes(20)))
struct ReadmeTests {
  @Test func theLibraryExampleWorks() async throws {
    #expect(try await greet() == "hello")
    #expect(!named.isEmpty)
  }
}
