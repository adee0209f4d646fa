// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP
import ZSSPNIO
import ZSSPSwiftCrypto
import ZSSPTesting

/// An endpoint on a network in memory.
func makeEndpoint(
  on network: TestNetwork, at address: String, settings: Settings = Settings(),
  flags: SecurityFlags = .opportunistic, key: StaticKey = StaticKey(), store: any RatchetStore = VolatileRatchetStore()
) async throws -> UDPEndpoint {
  try await network.endpoint(
    at: address, configuration: testConfiguration(settings, flags, key), store: store)
}

func testConfiguration(
  _ settings: Settings = Settings(), _ flags: SecurityFlags = .opportunistic, _ key: StaticKey = StaticKey()
) -> EndpointConfiguration {
  EndpointConfiguration(
    staticKey: key.agreementKey, provider: .swiftCrypto, flags: flags, helloPolicy: .allow, settings: settings)
}

/// Two endpoints on a network in memory, with a session that the client has opened.
struct NetworkPair {
  let client: UDPEndpoint
  let server: UDPEndpoint
  let session: Session

  /// The pair, and the server's end of the session.
  static func connected(on network: TestNetwork) async throws -> (NetworkPair, Session) {
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500")
    async let accepted = acceptFirst(server)
    let session = try await client.connect(to: server.localAddress, key: server.publicKey)
    return (NetworkPair(client: client, server: server, session: session), try await accepted)
  }

  func close() async {
    await client.close()
    await server.close()
  }
}
