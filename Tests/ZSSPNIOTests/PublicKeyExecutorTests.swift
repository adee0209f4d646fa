// SPDX-License-Identifier: Apache-2.0
import Dispatch
import NIOCore
import NIOPosix
import Testing
import ZSSPProviders
import ZSSPTestSupport

@testable import ZSSP
@testable import ZSSPNIO

/// The threads of public-key work.
@Suite(.tags(.fast), .timeLimit(.minutes(20)))
struct PublicKeyExecutorTests {
  /// An executor on an event loop of its own, whose results come out of `completed`.
  private struct Bench {
    let eventLoop: any EventLoop
    let executor: NIOLoopBound<PublicKeyExecutor>
    let completed: AsyncStream<PublicKeyResult>
    private let threads: Int
    private let gate = DispatchSemaphore(value: 0)

    init(_ provider: any CryptoProvider, threads: Int) async throws {
      let eventLoop = UDPEndpoint.defaultEventLoopGroup.next()
      let (completed, continuation) = AsyncStream.makeStream(of: PublicKeyResult.self)
      let pool = NIOThreadPool(numberOfThreads: threads)
      var options = UDPOptions()
      options.publicKeyThreads = threads
      executor = try await eventLoop.submit { [options] in
        let executor = PublicKeyExecutor(options, provider: provider, on: eventLoop) { done in
          for (result, _) in done { continuation.yield(result) }
        }
        executor.use(pool)
        return NIOLoopBound(executor, eventLoop: eventLoop)
      }.get()
      pool.start()
      // The threads begin when all items wait.
      for _ in 0..<threads { pool.submit { [gate] _ in gate.wait() } }
      self.eventLoop = eventLoop
      self.threads = threads
      self.completed = completed
    }

    /// Makes the executor run items. Called once before ``begin()``.
    func run(_ items: [PublicKeyWork]) async throws {
      try await eventLoop.submit { [executor] in
        for item in items { #expect(executor.value.run(item)) }
      }.get()
    }

    /// Lets the threads begin.
    func begin() { for _ in 0..<threads { gate.signal() } }

    func shutDown() async throws { try await eventLoop.submit { [executor] in executor.value.shutDown() }.get() }
  }

  private func work(
    _ number: UInt64, _ provider: any CryptoProvider, job: @escaping Action.Job
  ) -> PublicKeyWork {
    PublicKeyWork(id: RequestID(value: number), kind: .hello, provider: provider, job: job)
  }

  @Test("two threads run at the same time, and wake up again after both had nothing to do")
  func twoThreads() async throws {
    let provider = SingleProvider()
    let bench = try await Bench(provider, threads: 2)
    bench.begin()
    var results = bench.completed.makeAsyncIterator()
    for round in 0..<20 as Range<UInt64> {
      // Each item waits for the other. With a single thread the first would wait until its time is
      // over.
      let semaphores = [DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)]
      let hasMet = SharedBox([false, false])
      try await bench.run(
        [0, 1].map { index in
          work(2 * round + UInt64(index), provider) {
            semaphores[index].signal()
            let result = semaphores[1 - index].wait(timeout: .now() + .seconds(60))
            hasMet.update { $0[index] = result == .success }
            return .solved
          }
        })
      let ids = [await results.next()?.id.value, await results.next()?.id.value].compactMap(\.self).sorted()
      #expect(ids == [2 * round, 2 * round + 1])
      try #require(hasMet.value == [true, true])
    }
    try await bench.shutDown()
  }

  @Test("threads share the items that wait")
  func shares() async throws {
    let provider = PairingProvider()
    let bench = try await Bench(provider, threads: 2)
    // Both threads wait for the other before their first operation. A thread that had taken all
    // items would wait until the time is over.
    provider.engine.meet(within: .now() + .seconds(60))
    try await bench.run((0..<8).map { work($0, provider) { .generate { _ in .solved } } })
    bench.begin()
    var results = bench.completed.makeAsyncIterator()
    for _ in 0..<8 { _ = await results.next() }
    #expect(provider.engine.meetings == 2)
    try await bench.shutDown()
  }

  @Test("a closed endpoint's items are not continued")
  func closed() async throws {
    let provider = PairingProvider()
    let bench = try await Bench(provider, threads: 1)
    provider.engine.hold()
    let (ended, continuation) = AsyncStream.makeStream(of: Never.self)
    try await bench.run(items(provider, holding: Token { continuation.finish() }))
    bench.begin()
    await provider.engine.isBusy()
    try await bench.shutDown()
    provider.engine.release()
    for await _ in ended {}
    #expect(provider.engine.operations == 1)
  }

  /// Returns two items of two operations each, which hold the token until they have ended.
  private func items(_ provider: any CryptoProvider, holding token: Token) -> [PublicKeyWork] {
    (0..<2).map { number in
      work(number, provider) {
        .generate { _ in
          .generate { _ in
            withExtendedLifetime(token) { .solved }
          }
        }
      }
    }
  }

  /// An object that reports its end.
  private final class Token: Sendable {
    private let report: @Sendable () -> Void

    init(_ report: @escaping @Sendable () -> Void) { self.report = report }

    deinit { report() }
  }

  @Test("failures of a provider are reported once")
  func failures() async throws {
    let provider = PairingProvider()
    let bench = try await Bench(provider, threads: 1)
    func report() async throws -> String? {
      try await bench.eventLoop.submit { bench.executor.value.takeProviderFailure() }.get()
    }
    #expect(try await report() == nil)
    provider.engine.fail()
    #expect(try await report() == provider.name)
    #expect(try await report() == nil)
    bench.begin()
    try await bench.shutDown()
  }
}

extension Computation<PublicKeyResult.Outcome> {
  fileprivate static var solved: Self { .done(.proofOfWork(.unchallenged(proof: 1))) }
}

/// A provider that does one operation after the other.
private struct SingleProvider: DerivedProvider {
  let base: any CryptoProvider = FastestProvider().base
}

/// A provider that makes two keys at once, if the test lets it.
struct PairingProvider: BatchingProvider, DerivedProvider {
  let base: any CryptoProvider = FastestProvider().base
  let engine: Engine

  init() { engine = Engine(base) }

  var agreementBatches: (any AgreementBatches)? { engine }

  final class Engine: AgreementBatches {
    let size = 2
    private let base: any CryptoProvider
    private let state = SharedBox(State())
    private let arrivals = [DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)]
    private let gate = DispatchSemaphore(value: 0)

    private struct State {
      var operations = 0
      var failures: UInt64 = 0
      var deadline: DispatchTime?
      var arrived = 0
      var meetings = 0
      var isHeld = false
    }

    init(_ base: any CryptoProvider) { self.base = base }

    var failures: UInt64 { state.value.failures }
    /// The number of operations that have begun.
    var operations: Int { state.value.operations }
    /// The number of threads that have met another one.
    var meetings: Int { state.value.meetings }

    func fail() { state.update { $0.failures += 1 } }

    /// Makes the first operations of two threads wait for each other.
    func meet(within deadline: DispatchTime) { state.update { $0.deadline = deadline } }

    /// Makes the next operation wait for ``release()``.
    func hold() { state.update { $0.isHeld = true } }

    func release() { gate.signal() }

    /// Waits until an operation has begun.
    func isBusy() async { while operations == 0 { await Task.yield() } }

    func generate(_ count: Int) -> [any AgreementPrivateKey] {
      let (number, deadline, isHeld) = state.update { state in
        state.operations += 1
        state.arrived += 1
        defer { state.isHeld = false }
        return (state.arrived - 1, state.deadline, state.isHeld)
      }
      if isHeld { gate.wait() }
      if let deadline, number < 2 {
        arrivals[1 - number].signal()
        if arrivals[number].wait(timeout: deadline) == .success { state.update { $0.meetings += 1 } }
      }
      return (0..<count).map { _ in base.generateAgreementKey() }
    }

    func decode(_ keys: [PublicKey]) -> [(any AgreementPublicKey)?] { keys.map { try? base.agreementPublicKey($0) } }

    func agree(_ pairs: [(own: any AgreementPrivateKey, peer: any AgreementPublicKey)]) -> [Secret?] {
      pairs.map { try? $0.own.sharedSecret(with: $0.peer) }
    }
  }
}
