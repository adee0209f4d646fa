// SPDX-License-Identifier: Apache-2.0
#if Tracing
  import InMemoryTracing
  import Testing
  import ZSSPTestSupport
  import Tracing
  import ZSSP
  import ZSSPNIO
  import ZSSPTesting

  /// Handshakes have spans, with the trait `Tracing`.
  @Suite(.tags(.slow), .serialized, .timeLimit(.minutes(20)))
  struct TracingTests {
    /// One for the process: it cannot be bootstrapped twice.
    private static let tracer: InMemoryTracer = {
      let tracer = InMemoryTracer()
      InstrumentationSystem.bootstrap(tracer)
      return tracer
    }()

    /// The spans of handshakes with this peer, or that failed.
    private func spans(_ isWanted: (FinishedInMemorySpan) -> Bool) -> [FinishedInMemorySpan] {
      Self.tracer.finishedSpans.filter { $0.operationName == "zssp.handshake" && isWanted($0) }
    }

    @Test func bothEndsOfAHandshake() async throws {
      _ = Self.tracer
      let (pair, other) = try await NetworkPair.connected(on: TestNetwork())
      for (peer, role, kind) in [
        (pair.server.publicKey, "initiator", SpanKind.client), (pair.client.publicKey, "responder", .server),
      ] {
        let found = spans { $0.attributes.get("zssp.peer") == .string("\(peer)") }
        let span = try #require(found.first)
        #expect(found.count == 1 && span.kind == kind && span.errors.isEmpty)
        #expect(span.attributes.get("zssp.role") == .string(role))
        #expect(span.attributes.get("zssp.ratchet.chain_length") == .int64(1))
      }
      _ = other
      await pair.close()
    }

    @Test func aFailureIsRecordedInTheCallersTrace() async throws {
      _ = Self.tracer
      let network = TestNetwork()
      let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
      let peer = try await ScriptedPeer(on: network, at: "10.0.0.2:4500", configuration: testConfiguration())
      let script = Task { try await peer.run([.reject]) }
      await withSpan("the application's \(peer.publicKey)") { outer in
        await #expect(throws: UDPError.rejected) { try await client.connect(to: peer.address, key: peer.publicKey) }
        let failed = spans { $0.traceID == outer.context.inMemorySpanContext?.traceID && !$0.errors.isEmpty }
        #expect(failed.count == 1 && failed.first?.status?.code == .error)
      }
      try await script.value
      await client.close()
      await peer.close()
    }
  }
#endif
