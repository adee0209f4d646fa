// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPNIO

/// Many initiators that repeatedly open and close sessions with one responder over loopback UDP.
struct HandshakeLoad {
  let provider: any CryptoProvider
  let initiators: Int

  /// The result of a run.
  struct Result {
    /// Handshakes per second.
    var rate: Double
    /// The median round-trip time in microseconds of 32-byte messages on another session with the
    /// responder during the run.
    var roundTrip: Double
  }

  /// Runs handshakes with a responder that uses `store`. The initiators keep their ratchets in
  /// memory.
  func run(_ store: any RatchetStore, for duration: Duration) async throws -> Result {
    let server = try await endpoint(store)
    let accepting = Task { await Self.accept(at: server) }
    var clients: [UDPEndpoint] = []
    for _ in 0..<initiators { clients.append(try await endpoint(VolatileRatchetStore())) }
    let bystander = try await endpoint(VolatileRatchetStore())
    let session = try await bystander.connect(to: server.localAddress, key: server.publicKey)
    let clock = ContinuousClock()
    let start = clock.now
    let end = start + duration
    async let roundTrips = Self.roundTrips(session, until: end)
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
    // Ends the wait for a lost echo.
    await session.close()
    let roundTrip = await roundTrips.median
    for client in clients + [bystander] { await client.close() }
    await server.close()
    await accepting.value
    return Result(rate: Double(count) / (elapsed / .seconds(1)), roundTrip: roundTrip)
  }

  /// Returns round-trip times in microseconds, until a message is lost or the session ends. One
  /// message is sent per millisecond, so that they cost the handshakes no processor time.
  private static func roundTrips(_ session: Session, until end: ContinuousClock.Instant) async -> [Double] {
    let clock = ContinuousClock()
    var times: [Double] = []
    var echoes = session.messages.makeAsyncIterator()
    repeat {
      let start = clock.now
      do { try await session.send([UInt8](repeating: 1, count: 32)) } catch { break }
      guard await echoes.next() != nil else { break }
      times.append((clock.now - start) / .microseconds(1))
      do { try await clock.sleep(for: .milliseconds(1)) } catch { break }
    } while clock.now < end
    return times
  }

  private func endpoint(_ store: any RatchetStore) async throws -> UDPEndpoint {
    let configuration = EndpointConfiguration(
      staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow)
    return try await Tool.bind(
      try AddressReader.read("127.0.0.1:0", option: "--bind"), configuration: configuration, store: store)
  }

  /// Accepts every peer, and returns its messages until the session ends.
  private static func accept(at server: UDPEndpoint) async {
    await withDiscardingTaskGroup { group in
      for await incoming in server.incoming {
        group.addTask {
          do throws(UDPError) {
            let session = try await incoming.accept()
            for await message in session.messages { try await session.send(message) }
          } catch {
            // The initiator has restarted or has closed its session. It counts completed
            // handshakes.
          }
        }
      }
    }
  }
}
