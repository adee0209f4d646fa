// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPNIO

/// A store that does not answer holds up the request that it does not answer, and nothing else.
@Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
struct StoreTimeoutTests {
  private func options(_ timeout: Duration) -> UDPOptions {
    var options = UDPOptions()
    options.storeTimeout = timeout
    return options
  }

  // [DEC-15]
  /// The first swap is never answered. The peer's handshake is taken nevertheless, and the late
  /// effect of that swap does no harm.
  @Test func aRequestThatIsNeverAnsweredDoesNotBlockItsPeer() async throws {
    let store = HangingStore { request, number in
      if case .compareAndSwap = request { number == 0 } else { false }
    }
    let server = try await makeEndpoint(store: store, options: options(.milliseconds(300)))
    let client = try await makeEndpoint()
    let serving = Task { for await handshake in server.incoming { _ = try? await handshake.accept() } }
    let session = try await client.connect(to: server.localAddress, key: server.publicKey, timeout: .seconds(120))
    #expect(await server.statistics().transport.storeRequestsTimedOut >= 1)
    // Its task was told that nobody waits.
    while await store.cancelled == 0 { try await Task.sleep(for: .milliseconds(1)) }
    #expect(await store.hanging == 1)

    await store.goOn()
    while await store.lateAnswers.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
    guard case .notSwapped? = await store.lateAnswers.first else { return unexpected(await store.lateAnswers) }
    // The session and its ratchet are as if it had never been asked: the next one builds on it.
    #expect(session.endReason == nil)
    await session.close()
    let next = try await client.connect(to: server.localAddress, key: server.publicKey, timeout: .seconds(120))
    #expect(next.establishment.chainLength > session.establishment.chainLength)
    #expect(next.establishment.downgradedFrom == nil)
    await server.close()
    await serving.value
    await client.close()
  }

  /// Other peers do not notice, and whoever waits for a store that answers nothing at all gets an
  /// error in time.
  @Test func aStoreThatAnswersNothingIsCountedAndEndsWithTheEndpoint() async throws {
    let store = HangingStore { _, _ in true }
    var options = options(.milliseconds(100))
    options.storeQueue = 3
    let client = try await makeEndpoint(store: store, options: options)
    let server = try await makeEndpoint()
    let connecting = Task { try? await client.connect(to: server.localAddress, key: server.publicKey) }
    // Overdue requests keep their places: what a store hangs with is bounded.
    try await wait(for: client) { $0.transport.storeRequestsTimedOut == 3 && $0.transport.storeRequestsRefused >= 2 }
    #expect(await store.hanging == 3)
    connecting.cancel()
    #expect(await connecting.value == nil)
    await client.close()
    // Answers that come when all is over find nothing.
    await store.goOn()
    while await store.lateAnswers.count < 3 { try await Task.sleep(for: .milliseconds(1)) }
    #expect(await client.statistics().transport.storeRequestsTimedOut == 3)
    await server.close()
  }
}
