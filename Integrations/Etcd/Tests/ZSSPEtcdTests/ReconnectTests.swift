// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import Synchronization
import Testing
import ZSSP
import ZSSPNIO
import ZSSPProviders
import ZSSPStoreTesting

@testable import ZSSPEtcd

extension OverEtcd {
  /// Peers in persistent mode, and two responders with one static key and one etcd, of which one
  /// node at a time fails. `ZSSP_ETCD_RECONNECTS` says how often the peers change (500).
  @Suite(
    "A fleet of two responders", .timeLimit(.minutes(60)))
  struct ReconnectTests {
    private static let reconnects = Int(ProcessInfo.processInfo.environment["ZSSP_ETCD_RECONNECTS"] ?? "") ?? 500
    private static let clients = 4

    private static func configuration(_ key: any AgreementPrivateKey) -> EndpointConfiguration {
      var settings = Settings()
      settings.resendInterval = .milliseconds(200)
      return EndpointConfiguration(
        staticKey: key, provider: .fastest, flags: .persistent, helloPolicy: .allow, settings: settings)
    }

    private static func bind(
      _ key: any AgreementPrivateKey, _ store: any RatchetStore
    ) async throws -> UDPEndpoint {
      try await UDPEndpoint.bind(host: "127.0.0.1", port: 0, configuration: configuration(key), store: store)
    }

    /// A responder that can be closed, or lost with all that it has in memory, and another put in
    /// its place.
    private actor Responder {
      private let nodes: EtcdNodes
      private let options: EtcdStoreOptions
      private let key: any AgreementPrivateKey
      private var endpoint: UDPEndpoint?
      private var accepting: Task<Void, Never>?
      private var store: EtcdRatchetStore?
      private(set) var downgrades = 0

      init(_ nodes: EtcdNodes, _ options: EtcdStoreOptions, _ key: any AgreementPrivateKey) async throws {
        (self.nodes, self.options, self.key) = (nodes, options, key)
        try await start()
      }

      func start() async throws {
        let store = try await nodes.open(options)
        let endpoint = try await ReconnectTests.bind(key, store)
        (self.store, self.endpoint) = (store, endpoint)
        accepting = Task {
          await withDiscardingTaskGroup { group in
            for await incoming in endpoint.incoming {
              group.addTask {
                do throws(UDPError) {
                  let session = try await incoming.accept()
                  for await message in session.messages { try await session.send(message) }
                } catch {
                  // The peer has gone to the other responder.
                }
              }
            }
          }
        }
      }

      /// The address of the one that is there now.
      func address() throws -> SocketAddress { try #require(endpoint).localAddress }

      /// Ends it and starts another, which knows what is in etcd and nothing else. The handshakes
      /// of the first are cut short.
      func replace() async throws {
        await endpoint?.close()
        await accepting?.value
        if let store { await close(store) }
        try await start()
      }

      func finish() async {
        await endpoint?.close()
        await accepting?.value
        if let store { await ZSSPEtcdTests.close(store) }
      }
    }

    /// A client goes from one responder to the other, and back: after an orderly end, without a
    /// word, or in the middle of a handshake.
    private static func reconnect(
      _ client: UDPEndpoint, _ key: PublicKey, _ responders: [Responder], _ count: Int, _ random: inout Dice
    ) async throws -> (times: [Duration], chainLength: UInt64, abandoned: Int) {
      var times = [Duration]()
      var abandoned = 0
      var chainLength = UInt64(0)
      var current = 0
      let clock = ContinuousClock()
      for _ in 0..<count {
        current = 1 - current
        // An attempt with the responder that is left is given up somewhere on its way, in every
        // second case.
        if Bool.random(using: &random) {
          let address = try await responders[1 - current].address()
          let patience = Duration.milliseconds(.random(in: 1...40, using: &random))
          do throws(UDPError) {
            let session = try await client.connect(to: address, key: key, timeout: patience)
            chainLength = max(chainLength, session.establishment.chainLength)
          } catch {
            abandoned += 1
          }
        }
        let start = clock.now
        let address = try await responders[current].address()
        let session = try await connected(client, key, address, responders[current])
        times.append(clock.now - start)
        // With its ratchet, and never with an older one.
        #expect(session.establishment.chainLength > chainLength)
        chainLength = max(chainLength, session.establishment.chainLength)
        if Bool.random(using: &random) {
          try await session.send([UInt8](repeating: 5, count: 32))
          // The responder may be gone by now, and nobody tells.
          let patience = Task {
            try await Task.sleep(for: .seconds(1))
            await session.close()
          }
          var echoes = session.messages.makeAsyncIterator()
          _ = await echoes.next()
          patience.cancel()
        }
        if Bool.random(using: &random) { await session.close() }
      }
      return (times, chainLength, abandoned)
    }

    /// A session, at the latest when the responder that was replaced meanwhile was found again.
    private static func connected(
      _ client: UDPEndpoint, _ key: PublicKey, _ address: SocketAddress, _ responder: Responder
    ) async throws -> Session {
      var address = address
      for _ in 0..<60 {
        do throws(UDPError) {
          return try await client.connect(to: address, key: key, timeout: .seconds(2))
        } catch .timeout, .sessionEnded, .unreachable {
          address = try await responder.address()
        }
      }
      throw LockedOut()
    }

    private struct LockedOut: Error {}

    /// Kills a node, stops it, or cuts it off from the others if this machine can, and lets it come
    /// back; until `isOver`. Says how often.
    private static func fail(_ nodes: EtcdNodes, until isOver: Flag) async throws -> Int {
      let partition = Partition.isTested ? try Partition(nodes) : nil
      var random = Dice(seed: 98)
      var count = 0
      while !isOver.isRaised {
        let index = Int.random(in: 0..<3, using: &random)
        switch (Int.random(in: 0..<3, using: &random), partition) {
        case (0, let partition?):
          try partition.cutOff(index)
          try await Task.sleep(for: .seconds(3))
          try partition.heal()
        case (1, _):
          nodes.nodes[index].setStopped(true)
          try await Task.sleep(for: .seconds(2))
          nodes.nodes[index].setStopped(false)
        default:
          nodes.nodes[index].kill()
          try await Task.sleep(for: .seconds(1))
          try nodes.nodes[index].start()
        }
        count += 1
        // Only one at a time: it has to come back and to catch up.
        try await Task.sleep(for: .seconds(2))
      }
      return count
    }

    @Test func neverLockedOutAndNeverWithoutTheRatchet() async throws {
      let nodes = try EtcdNodes(3, users: Partition.isTested)
      let options = nodes.options()
      let provider = FastestProvider()
      let key = provider.generateAgreementKey()
      let clientKeys = (0..<Self.clients).map { _ in provider.generateAgreementKey() }
      let setup = try await nodes.open(options)
      var clients: [UDPEndpoint] = []
      for (index, clientKey) in clientKeys.enumerated() {
        // The states of a one-time password.
        let first = Sample.state(1, of: index)
        #expect(await setup.swap(clientKey.publicKey, .empty, RatchetPair(first)).isSwapped)
        let store = VolatileRatchetStore(pairs: [key.publicKey: RatchetPair(first)])
        clients.append(try await Self.bind(clientKey, store))
      }
      let responders = [try await Responder(nodes, options, key), try await Responder(nodes, options, key)]
      let share = max(1, Self.reconnects / Self.clients)
      let isOver = Flag()
      let results = try await withThrowingTaskGroup(of: (times: [Duration], chainLength: UInt64, abandoned: Int).self) {
        group in
        for (index, client) in clients.enumerated() {
          let publicKey = key.publicKey
          group.addTask {
            var random = Dice(seed: UInt64(index) + 1)
            return try await Self.reconnect(client, publicKey, responders, share, &random)
          }
        }
        let replacing = Task {
          var random = Dice(seed: 99)
          var count = 0
          while !isOver.isRaised {
            try await Task.sleep(for: .milliseconds(.random(in: 500...1500, using: &random)))
            try await responders[.random(in: 0...1, using: &random)].replace()
            count += 1
          }
          return count
        }
        let failing = Task { try await Self.fail(nodes, until: isOver) }
        defer { isOver.raise() }
        let results = try await group.reduce(into: []) { $0.append($1) }
        isOver.raise()
        print("responders replaced: \(try await replacing.value), nodes that failed: \(try await failing.value)")
        return results
      }
      let times = results.flatMap(\.times).sorted()
      print(
        "\(times.count) reconnects, \(results.reduce(0) { $0 + $1.abandoned }) abandoned attempts; median \(times[times.count / 2]), longest \(times.last ?? .zero)"
      )
      #expect(try await setup.check() == [])
      for client in clients { await client.close() }
      for responder in responders { await responder.finish() }
      await close(setup)
    }
  }
}
