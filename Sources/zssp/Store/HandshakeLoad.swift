// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPNIO

/// Many initiators that open sessions with one responder over loopback UDP, close them, and open the next.
struct HandshakeLoad {
  let provider: any CryptoProvider
  let initiators: Int

  /// Handshakes per second; the responder keeps its ratchets in `store`, the initiators theirs in memory.
  func rate(_ store: any RatchetStore, for duration: Duration) async throws -> Double {
    let server = try await endpoint(store)
    let accepting = Task { await Self.accept(at: server) }
    var clients: [UDPEndpoint] = []
    for _ in 0..<initiators { clients.append(try await endpoint(InMemoryRatchetStore())) }
    let clock = ContinuousClock()
    let start = clock.now
    let end = start + duration
    let count = try await withThrowingTaskGroup(of: Int.self) { group in
      for client in clients {
        group.addTask {
          var count = 0
          repeat {
            let session = try await client.connect(to: server.localAddress, key: server.publicKey)
            count += 1
            await session.close()
          } while clock.now < end
          return count
        }
      }
      return try await group.reduce(0, +)
    }
    let elapsed = clock.now - start
    for client in clients { await client.close() }
    await server.close()
    await accepting.value
    return Double(count) / (elapsed / .seconds(1))
  }

  private func endpoint(_ store: any RatchetStore) async throws -> UDPEndpoint {
    let configuration = EndpointConfiguration(
      staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow)
    return try await Tool.bind(try AddressReader.read("127.0.0.1:0", option: "--bind"), configuration, store: store)
  }

  /// Takes everyone, and keeps each session until it ends.
  private static func accept(at server: UDPEndpoint) async {
    await withDiscardingTaskGroup { group in
      for await incoming in server.incoming {
        group.addTask {
          do throws(UDPError) {
            let session = try await incoming.accept()
            for await _ in session.messages {}
          } catch {
            // The initiator has begun anew; it counts what it completes.
          }
        }
      }
    }
  }
}
