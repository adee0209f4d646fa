// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import SwiftZSSP
import ZSSP
import ZSSPMetrics
import ZSSPSimulator
import ZSSPStoreTesting
import ZSSPTesting

#if os(Linux)
  import ZSSPTunnel
#endif

// The examples of documentation comments, which DocumentationTests finds here. Each is as it stands
// there.

// UDPEndpoint

func serve(_ friends: Set<PublicKey>, at endpoint: UDPEndpoint) async {
  await withDiscardingTaskGroup { group in
    for await handshake in endpoint.incoming {
      guard friends.contains(handshake.peer) else {
        handshake.reject()
        continue
      }
      group.addTask {
        do {
          let session = try await handshake.accept()
          for await message in session.messages { try await session.send(message) }
        } catch {
          print("no session with \(handshake.peer): \(error)")
        }
      }
    }
    group.cancelAll()
  }
}

func configuration(_ key: StaticKey) -> EndpointConfiguration {
  var budget = HelloBudget()
  budget.perSource = 1000
  budget.unchallenged = .milliseconds(500)
  return EndpointConfiguration(
    staticKey: key.agreementKey, provider: .swiftCrypto, helloPolicy: .automatic(budget))
}

// UDPEndpoint.run

func run(_ endpoint: UDPEndpoint, serve: @escaping @Sendable (IncomingSession) async -> Void) async throws {
  try await withThrowingDiscardingTaskGroup { group in
    group.addTask { try await endpoint.run() }
    for await handshake in endpoint.incoming {
      group.addTask { await serve(handshake) }
    }
  }
}

// UDPEndpoint.connect

func report(_ reading: String, by endpoint: UDPEndpoint, to gateway: PublicKey) async throws {
  let session = try await endpoint.connect(to: "gw.example:4500", key: gateway, timeout: .seconds(30))
  try await session.send(Array(reading.utf8))
}

// UDPError

func attempt(_ endpoint: UDPEndpoint, _ key: PublicKey) async throws -> Session? {
  do {
    return try await endpoint.connect(to: "gw.example:4500", key: key, timeout: .seconds(10))
  } catch  where error.isCancellation {
    throw CancellationError()
  } catch .timeout(let cause) {
    print("no session: \(cause)")
    return nil
  }
}

// Session

func send(_ blocks: [[UInt8]], on session: Session) async throws {
  try await session.sendMessages(ofBytes: blocks.count * 1200) { run throws(SendError) in
    for block in blocks { try run.append(block.span.bytes) }
  }
}

// SQLiteRatchetStore

#if SQLite
  func bind(_ configuration: EndpointConfiguration) async throws -> UDPEndpoint {
    let store = try SQLiteRatchetStore(path: "/var/lib/zssp/ratchets.db", provider: .swiftCrypto)
    return try await .bind(host: "::", port: 4000, configuration: configuration, store: store)
  }
#endif

// ReconnectingSession

func report(
  _ readings: some AsyncSequence<String, Never>, by endpoint: UDPEndpoint, to gateway: PublicKey
) async throws {
  let session = try endpoint.reconnectingSession(to: "gw.example:4500", key: gateway)
  for await reading in readings { try await session.send(Array(reading.utf8)) }
  await session.close()
}

// EndpointMetrics

func report(_ endpoint: UDPEndpoint) async {
  await withDiscardingTaskGroup { group in
    group.addTask { await EndpointMetrics(of: endpoint).run(every: .seconds(10)) }
    group.addTask { for await downgrade in endpoint.downgrades { print(downgrade.peer) } }
  }
}

// TestNetwork

func greeting() async throws -> [UInt8]? {
  let network = TestNetwork()
  func endpoint(_ address: String) async throws -> UDPEndpoint {
    try await network.endpoint(
      at: address, configuration: .init(staticKey: StaticKey().agreementKey, provider: .swiftCrypto))
  }
  let client = try await endpoint("10.0.0.1:1000")
  let server = try await endpoint("10.0.0.2:4500")
  try network.setAddresses(["10.0.0.2:4500"], of: "gw.example")
  async let accepted = server.incoming.first { _ in true }?.accept()
  let session = try await client.connect(to: "gw.example:4500", key: server.publicKey)
  try await session.send(Array("hello".utf8))
  return try await accepted?.messages.first { _ in true }
}

// ScriptedPeer

func isAcknowledged(
  _ client: UDPEndpoint, _ network: TestNetwork, _ configuration: EndpointConfiguration
) async throws -> Bool {
  let gateway = try await ScriptedPeer(on: network, at: "10.0.0.2:4500", configuration: configuration)
  async let script: Void = gateway.run([.accept, .expect([1]), .send([2])])
  let session = try await client.connect(to: gateway.address, key: gateway.publicKey)
  try await session.send([1])
  let answer = await session.messages.first { _ in true }
  try await script
  return answer == [2]
}

// Endpoint

func begin(
  _ key: StaticKey, to peer: PublicKey, at address: Address, _ store: inout MemoryRatchetStore, now: Instant
) throws -> Int {
  var endpoint = try Endpoint(EndpointConfiguration(staticKey: key.agreementKey, provider: .swiftCrypto))
  _ = try endpoint.open(to: peer, at: address, now: now)
  while let request = endpoint.nextRequest() {
    switch request {
    case .store(let id, let question): endpoint.answer(id, store: store.answer(question), at: now)
    case .work(let work): endpoint.complete(work.run(), at: now)
    case .accept(let id, _): endpoint.answer(id, accept: .reject(silently: true), at: now)
    }
  }
  return endpoint.outbox.count
}

// DerivedProvider

struct Watched: DerivedProvider {
  let base: any CryptoProvider
  var name: String { "\(base.name), watched" }
  func packetKey(_ key: Secret) -> any PacketKey {
    print("a packet key is expanded")
    return base.packetKey(key)
  }
}

// Simulation

func simulate() throws -> SimulationReport { try Simulation(SimulationPlan(), seed: 1).run() }

// StoreMedium

struct MyMedium: StoreMedium {
  func open() async throws -> any RatchetStore { VolatileRatchetStore() }
  func close(_ store: any RatchetStore) async throws {}
  var isDurable: Bool { false }
}

@Test(arguments: StoreConformance.cases)
func conformance(_ rule: StoreConformance) async throws {
  try await rule.run(on: MyMedium())
}

// Tunnel

#if os(Linux)
  func run(
    _ configuration: TunnelConfiguration, _ endpoint: EndpointConfiguration, _ store: any RatchetStore
  ) async throws {
    let tunnel = try await Tunnel.start(configuration, endpoint: endpoint, store: store)
    try await tunnel.run()
  }
#endif
