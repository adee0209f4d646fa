// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto
import ZSSPTesting

@testable import ZSSPNIO

/// A timeout says what was seen of the peer.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct TimeoutCauseTests {
  /// Connects for `timeout` of the network's time, and returns what it fails with.
  private func failure(
    _ network: TestNetwork, of client: UDPEndpoint, to address: String, key: PublicKey,
    timeout: Duration = .seconds(15)
  ) async -> UDPError? {
    let failure = SharedBox<UDPError?>(nil)
    let connecting = Task {
      do throws(UDPError) {
        _ = try await client.connect(to: address, key: key, timeout: timeout)
      } catch {
        failure.value = error
      }
    }
    await network.advance { failure.value != nil }
    await connecting.value
    return failure.value
  }

  @Test func nothingCameBack() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let error = await failure(network, of: client, to: "10.0.0.2:4500", key: StaticKey().publicKey)
    #expect(error == .timeout(.noAnswer))
    await client.close()
  }

  /// The responder reads the Hello, because the key is right, and its application never decides. The
  /// attempt ends by its own limit of time, or before by that of the call.
  @Test(arguments: [Duration.seconds(3), .seconds(15)])
  func nobodyAccepts(within timeout: Duration) async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    let server = try await makeEndpoint(on: network, at: "10.0.0.2:4500")
    let error = await failure(
      network, of: client, to: "10.0.0.2:4500", key: server.publicKey, timeout: timeout)
    #expect(error == .timeout(.notConfirmed))
    #expect("\(TimeoutCause.notConfirmed.likelyCauses)".contains("has not accepted"))
    await network.advance(by: .seconds(15))
    // The responder knows that nothing read its handshakes.
    let statistics = await server.statistics().transport
    #expect(statistics.incomingUnread > 0 && statistics.incomingUnread == statistics.incomingExpired)
    await client.close()
    await server.close()
  }

  /// The responder asks for a proof of work, and then cannot read the Hello.
  @Test func challengedAndNotAnswered() async throws {
    let network = TestNetwork()
    let client = try await makeEndpoint(on: network, at: "10.0.0.1:1000")
    var configuration = testConfiguration()
    configuration.helloPolicy = .challenge
    let server = try await network.endpoint(at: "10.0.0.2:4500", configuration: configuration)
    let error = await failure(network, of: client, to: "10.0.0.2:4500", key: StaticKey().publicKey)
    #expect(error == .timeout(.challenged))
    #expect(await server.statistics().endpoint[.challenged] > 0)
    await client.close()
    await server.close()
  }

  /// Both hold another ratchet for the other, and neither gives way.
  @Test func nothingAuthenticComesBack() async throws {
    let network = TestNetwork()
    let key = StaticKey()
    let serverKey = StaticKey()
    let client = try await network.endpoint(at: "10.0.0.1:1000", configuration: testConfiguration(Settings(), [], key))
    // The address is right, and another profile answers.
    var configuration = testConfiguration(Settings(), [], serverKey)
    configuration.profile = .mlkem1024
    let server = try await network.endpoint(at: "10.0.0.2:4500", configuration: configuration)
    let error = await failure(network, of: client, to: "10.0.0.2:4500", key: serverKey.publicKey)
    guard case .timeout(let cause)? = error else { return unexpected(error) }
    #expect(cause == .noAnswer || cause == .notAuthentic)
    await client.close()
    await server.close()
  }

  /// The cause is that of the address and attempt that came closest.
  @Test func theClosestCounts() {
    let rising: [TimeoutCause] = [
      .notResolved, .noAnswer, .networkRefused("x"), .challenged, .notAuthentic, .notConfirmed, .ratchetConflict,
    ]
    for (index, cause) in rising.enumerated() {
      for other in rising[..<index] {
        #expect(cause.combined(with: other) == cause && other.combined(with: cause) == cause)
      }
      #expect(!cause.likelyCauses.isEmpty && !cause.description.isEmpty)
    }
    #expect(TimeoutCause.networkRefused("a").combined(with: .networkRefused("b")) == .networkRefused("b"))
    #expect(TimeoutCause(.notConfirmed) == .notConfirmed && TimeoutCause(.timeout) == .noAnswer)
    #expect(TimeoutCause(.notAuthentic) == .notAuthentic && TimeoutCause(.ratchetConflict) == .ratchetConflict)
  }

  #if os(Linux)
    /// Nothing listens at the port, and the system says so.
    @Test func theNetworkRefuses() async throws {
      let free = try await makeEndpoint()
      let address = free.localAddress
      await free.close()
      var settings = quickSettings()
      settings.resendInterval = .milliseconds(20)
      let client = try await makeEndpoint(settings)
      do throws(UDPError) {
        _ = try await client.connect(to: address, key: client.publicKey, timeout: .seconds(2))
        Issue.record("a session with nobody")
      } catch {
        guard case .timeout(.networkRefused(let text)) = error else { return unexpected(error) }
        #expect(text.contains("refused"))
      }
      await client.close()
    }

    @Test func aProbeOfAnEndpointIsNotRefused() async throws {
      let server = try await makeEndpoint()
      let client = try await makeEndpoint()
      let address = try #require(Address(server.localAddress))
      let probe = try #require(ReachProbe(to: address, from: client.localAddress))
      try await wait(for: server) { $0.endpoint[.badLength] == 1 }
      #expect(probe.refusal == nil)
      await client.close()
      await server.close()
    }
  #endif
}
