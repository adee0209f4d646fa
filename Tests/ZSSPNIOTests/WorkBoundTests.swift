// SPDX-License-Identifier: Apache-2.0
import Dispatch
import NIOCore
import NIOPosix
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPNIO

/// The work that strangers can cause is bounded, and takes nothing from peers that have proved
/// their identity.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct WorkBoundTests {
  /// A driver whose public-key work waits for `gate`.
  private func bench(queue: Int, gate: DispatchSemaphore, pool: NIOThreadPool) async throws -> DriverBench {
    var options = UDPOptions()
    options.publicKeyQueue = queue
    let bench = try await DriverBench.make(options: options)
    pool.start()
    pool.submit { _ in gate.wait() }
    try await bench.run { driver in driver.publicKeyExecutor.use(pool) }
    return bench
  }

  /// Reading X1 and writing X2 cost milliseconds, and whoever can send a datagram can cause them.
  @Test(arguments: [PublicKeyWork.Kind.helloReceived, .response])
  func workThatStrangersCauseIsBounded(kind: PublicKeyWork.Kind) async throws {
    let gate = DispatchSemaphore(value: 0)
    let pool = NIOThreadPool(numberOfThreads: 1)
    let bench = try await bench(queue: 2, gate: gate, pool: pool)
    let work = try #require(try PlainHandshake().work[kind])
    let (waiting, refused) = try await bench.run { driver in
      for _ in 0..<5 { driver.handle(.work(work)) }
      return (driver.publicKeyExecutor.strangersWork, driver.counters.publicKeyWorkRefused)
    }
    #expect(waiting == 2 && refused == 3)
    gate.signal()
    try await bench.close()
  }

  /// A flood of Hellos must neither end sessions nor keep this side from opening one.
  @Test(arguments: [
    PublicKeyWork.Kind.hello, .proofOfWork, .responseReceived, .completionReceived, .rekey, .rekeyReceived,
    .rekeyCompleted,
  ])
  func workThatNoStrangerCausesIsNeverRefused(kind: PublicKeyWork.Kind) async throws {
    let gate = DispatchSemaphore(value: 0)
    let pool = NIOThreadPool(numberOfThreads: 1)
    let bench = try await bench(queue: 2, gate: gate, pool: pool)
    let work = try #require(try PlainHandshake(isChallenged: kind == .proofOfWork).work[kind])
    let (waiting, refused) = try await bench.run { driver in
      for _ in 0..<5 { driver.handle(.work(work)) }
      return (driver.publicKeyExecutor.strangersWork, driver.counters.publicKeyWorkRefused)
    }
    #expect(waiting == 0 && refused == 0)
    gate.signal()
    try await bench.close()
  }

  @Test func workThatIsDoneMakesRoom() async throws {
    let gate = DispatchSemaphore(value: 0)
    let pool = NIOThreadPool(numberOfThreads: 1)
    let bench = try await bench(queue: 2, gate: gate, pool: pool)
    let work = try #require(try PlainHandshake().work[.helloReceived])
    try await bench.run { driver in for _ in 0..<2 { driver.handle(.work(work)) } }
    gate.signal()
    // The thread and the event loop do one thing after another: when this is done, so is the work.
    try await pool.runIfActive {}
    let (waiting, refused) = try await bench.run { driver in
      let waiting = driver.publicKeyExecutor.strangersWork
      driver.handle(.work(work))
      return (waiting, driver.counters.publicKeyWorkRefused)
    }
    #expect(waiting == 0 && refused == 0)
    try await bench.close()
  }

  /// The number of requests that a store has not answered is limited. Further ones fail at once.
  @Test func requestsOfASlowStoreAreBounded() async throws {
    var options = UDPOptions()
    options.storeQueue = 1
    let store = HeldStore()
    let bench = try await DriverBench.make(store: store, options: options)
    let requests = try PlainHandshake().storeRequests
    try #require(requests.count > 2)
    let refused = try await bench.run { driver in
      for (id, request) in requests { driver.handle(.store(id, request)) }
      return driver.counters.storeRequestsRefused
    }
    #expect(refused == UInt64(requests.count - 1))
    store.release()
    try await bench.close()
  }

  /// Handshakes that do not fit into the queue of ``UDPEndpoint/incoming`` are refused in silence:
  /// the initiator goes on trying.
  @Test func aHandshakeThatDoesNotFitIsNotToldSo() async throws {
    var options = UDPOptions()
    options.incomingBuffer = 1
    let server = try await makeEndpoint(options: options)
    let first = try await makeEndpoint()
    let second = try await makeEndpoint()
    let outcomes = SharedBox(0)
    let knocking = [first, second].map { client in
      Task {
        _ = try? await client.connect(to: server.localAddress, key: server.publicKey)
        outcomes.update { $0 += 1 }
      }
    }
    try await wait(for: server) { $0.transport.incomingRefused > 0 }
    // Who was told does not send its X3 again.
    let before = await server.statistics().endpoint[.unknownKeyID]
    try await wait(for: server) { $0.endpoint[.unknownKeyID] > before || outcomes.value > 0 }
    #expect(outcomes.value == 0)
    for endpoint in [server, first, second] { await endpoint.close() }
    for task in knocking { await task.value }
  }
}
