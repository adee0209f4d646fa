// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import NIOCore
import Testing
import ZSSP
import ZSSPSwiftCrypto
import ZSSPTestSupport

@testable import ZSSPNIO

#if os(Linux)
  /// A store that looks up nothing until it is released.
  private final class SlowStore: RatchetStore {
    private let store: VolatileRatchetStore
    private let waiting = NIOLockedValueBox((isFirst: true, isOpen: false, all: [CheckedContinuation<Void, Never>]()))

    init(_ store: VolatileRatchetStore) { self.store = store }

    func answer(_ request: StoreRequest) async -> StoreAnswer {
      if case .lookUp = request {
        await withCheckedContinuation { continuation in
          let isOpen = waiting.withLockedValue { waiting in
            if !waiting.isOpen { waiting.all.append(continuation) }
            return waiting.isOpen
          }
          if isOpen { continuation.resume() }
        }
      }
      return await store.answer(request)
    }

    /// Lets the first look-up go on; later calls change nothing.
    func release() {
      let first = waiting.withLockedValue { waiting -> CheckedContinuation<Void, Never>? in
        guard waiting.isFirst, !waiting.all.isEmpty else { return nil }
        waiting.isFirst = false
        return waiting.all.removeFirst()
      }
      first?.resume()
    }

    /// Lets all look-ups go on.
    func releaseAll() {
      let all = waiting.withLockedValue { waiting in
        defer { waiting.all = [] }
        waiting.isOpen = true
        return waiting.all
      }
      for continuation in all { continuation.resume() }
    }
  }

  /// A probe tells what keeps a session from being opened, and changes nothing at its peer.
  @Suite(.tags(.slow), .timeLimit(.minutes(20)))
  struct PeerProbeTests {
    private static let password = OneTimePassword.generate().state(provider: .swiftCrypto)

    private static func configuration(
      _ key: StaticKey, profile: Profile = .kyber1024, flags: SecurityFlags = [], policy: HelloPolicy = .allow
    ) throws -> EndpointConfiguration {
      EndpointConfiguration(
        staticKey: key.agreementKey, provider: .swiftCrypto, profile: profile, flags: flags, helloPolicy: policy)
    }

    /// A responder, and the peer that probes it.
    private struct Scene {
      var serverProfile = Profile.kyber1024
      var flags: SecurityFlags = []
      var policy = HelloPolicy.allow
      /// The states that the two sides hold for each other.
      var serverState: RatchetState?
      var clientStates: [RatchetState] = []
      /// True if the probe expects another key.
      var expectsOtherKey = false
      /// Long where an answer is expected: a starved machine takes its time.
      var patience = Duration.seconds(120)
    }

    /// Probes, and checks that the store of the responder stays the same.
    private static func observe(_ scene: Scene) async throws -> Diagnosis.Observations {
      let client = StaticKey()
      let key = StaticKey()
      let store = VolatileRatchetStore()
      if let state = scene.serverState {
        _ = await store.answer(
          .compareAndSwap(peer: client.publicKey, expected: .empty, new: RatchetPair(state)))
      }
      let before = store.rows
      let server = try await UDPEndpoint.bind(
        host: "127.0.0.1", port: 0,
        configuration: configuration(key, profile: scene.serverProfile, flags: scene.flags, policy: scene.policy),
        store: store)
      let remote = try #require(Address(server.localAddress))
      let probe = PeerProbe(
        key: scene.expectsOtherKey ? StaticKey().publicKey : key.publicKey, configuration: try configuration(client),
        ratchets: scene.clientStates, patience: scene.patience)
      let accepting = Task {
        var offered = 0
        for await incoming in server.incoming {
          offered += 1
          _ = try? await incoming.accept()
        }
        return offered
      }
      let seen = try await probe.run(to: remote)
      // Whatever was sent before is processed when this is answered.
      _ = try await probe.single(to: remote)
      #expect(await server.statistics().endpoint.sessionsEstablished == 0)
      await server.close()
      #expect(await accepting.value == 0)
      #expect(store.rows == before)
      return seen
    }

    @Test func anAnswer() async throws {
      let seen = try await Self.observe(Scene())
      let first = try #require(seen.attempt(.asConfigured))
      #expect(first.answer?.usedRatchet == false)
      // Of several Hellos, which a slow machine sends, nothing tells which one was answered.
      #expect((first.answer?.roundTrip != nil) == (first.hellos == 1))
      #expect(first.sent.count == 2 && seen.attempts.count == 1)
      #expect(Diagnosis(seen).causes.isEmpty)
    }

    @Test func aRatchetThatBothHave() async throws {
      let state = Self.password
      for flags in [SecurityFlags.opportunistic, .persistent] {
        let seen = try await Self.observe(Scene(flags: flags, serverState: state, clientStates: [state]))
        #expect(seen.attempt(.asConfigured)?.answer?.usedRatchet == true)
        #expect(Diagnosis(seen).causes.isEmpty)
      }
    }

    @Test func aRatchetThatThePeerHasLost() async throws {
      let seen = try await Self.observe(Scene(clientStates: [Self.password]))
      #expect(seen.attempt(.asConfigured)?.answer?.usedRatchet == false)
      #expect(Diagnosis(seen).causes.first?.kind == .lostRatchet)
    }

    @Test func aChallenge() async throws {
      let seen = try await Self.observe(Scene(policy: .challenge))
      let first = try #require(seen.attempt(.asConfigured))
      #expect(first.challenges > 0 && first.solved > 0 && first.answer != nil)
    }

    @Test(
      .long,
      arguments: [
        (Diagnosis.Kind.wrongProfile, Profile.mlkem1024, false), (.wrongKey, .kyber1024, true),
      ])
    func silence(kind: Diagnosis.Kind, profile: Profile, expectsOtherKey: Bool) async throws {
      let seen = try await Self.observe(
        Scene(serverProfile: profile, expectsOtherKey: expectsOtherKey, patience: .seconds(20)))
      #expect(seen.attempts.map(\.purpose) == [.asConfigured, .asConfigured, .otherProfile, .smallDatagrams])
      #expect(Diagnosis(seen).causes.first?.kind == kind)
    }

    @Test func nothingListens() async throws {
      let free = try await makeEndpoint()
      let remote = try #require(Address(free.localAddress))
      await free.close()
      let probe = PeerProbe(
        key: StaticKey().publicKey, configuration: try Self.configuration(StaticKey()), patience: .seconds(1))
      let steps = NIOLockedValueBox<[String]>([])
      let seen = try await probe.run(to: remote) { step in
        if case .route(let route) = step {
          steps.withLockedValue { $0.append(route.interface ?? "?") }
        }
      }
      #expect(steps.withLockedValue { $0 } == ["lo"])
      #expect(Diagnosis(seen).causes.first?.kind == .portClosed)
    }

    /// The confirmation of the newer state was lost, so only one side has dropped the older one.
    @Test(.long) func theNewerStateIsTriedNext() async throws {
      let older = OneTimePassword.generate().state(provider: .swiftCrypto)
      for flags in [SecurityFlags.opportunistic, .persistent] {
        let seen = try await Self.observe(
          Scene(
            flags: flags, serverState: Self.password, clientStates: [older, Self.password], patience: .seconds(20)))
        #expect(seen.attempts.count == 2 && seen.attempt(.asConfigured)?.answer?.usedRatchet == true)
        #expect(Diagnosis(seen).causes.isEmpty)
      }
    }

    /// The source of a probe, which has a port for the first Hello alone.
    @Test func addressesToSendFrom() async throws {
      let key = StaticKey()
      let server = try await UDPEndpoint.bind(
        host: "127.0.0.1", port: 0, configuration: Self.configuration(key), store: VolatileRatchetStore())
      let remote = try #require(Address(server.localAddress))
      var probe = PeerProbe(
        key: key.publicKey, configuration: try Self.configuration(StaticKey()), patience: .seconds(120))
      // An address that no host has (RFC 5737), and one of the other family.
      for (host, reason) in [("192.0.2.1", BindFailure.addressNotAvailable), ("::1", .unsupportedFamily)] {
        probe.source = try SocketAddress(ipAddress: host, port: 0)
        await #expect(throws: UDPError.bindFailed(host: host, port: 0, reason: reason)) {
          try await probe.run(to: remote)
        }
      }
      for host in ["127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1"] {
        probe.source = try SocketAddress(ipAddress: host, port: 0)
        #expect(try await probe.run(to: remote).isAnswered(.asConfigured), "\(host)")
      }
      await server.close()
    }

    /// A port that was asked for does not keep variants from being sent.
    @Test(.long) func aPortToSendFrom() async throws {
      let free = try await makeEndpoint()
      let source = free.localAddress
      await free.close()
      let key = StaticKey()
      let server = try await UDPEndpoint.bind(
        host: "127.0.0.1", port: 0, configuration: Self.configuration(key, profile: .mlkem1024),
        store: VolatileRatchetStore())
      var probe = PeerProbe(
        key: key.publicKey, configuration: try Self.configuration(StaticKey()), patience: .seconds(20))
      probe.source = source
      let seen = try await probe.run(to: try #require(Address(server.localAddress)))
      #expect(seen.attempts.count == 4 && Diagnosis(seen).causes.first?.kind == .wrongProfile)
      await server.close()
    }

    /// The answer to the first Hello comes when its variants are under way; the same Hello again
    /// is not answered. That is no lost ratchet.
    @Test(.long) func aLateAnswer() async throws {
      let client = StaticKey()
      let key = StaticKey()
      let rows = VolatileRatchetStore()
      _ = await rows.answer(.compareAndSwap(peer: client.publicKey, expected: .empty, new: RatchetPair(Self.password)))
      let store = SlowStore(rows)
      let server = try await UDPEndpoint.bind(
        host: "127.0.0.1", port: 0, configuration: Self.configuration(key), store: store)
      let probe = PeerProbe(
        key: key.publicKey, configuration: try Self.configuration(client), ratchets: [Self.password],
        // The responder forgets the Hello after 10 s.
        patience: .seconds(5))
      let seen = try await probe.run(to: try #require(Address(server.localAddress))) { step in
        if case .observed = step { store.release() }
      }
      #expect(seen.attempts.first?.answer?.usedRatchet == true)
      #expect(Diagnosis(seen).causes.isEmpty, "\(Diagnosis(seen).causes)")
      store.releaseAll()
      await server.close()
    }

    /// A walk that was cancelled gives no diagnosis.
    @Test func aCancelledProbe() async throws {
      let silent = try ProbeSocket(to: Address(ipv4: 0x7F00_0001, port: 9), from: nil)
      let remote = try #require(silent.local)
      let probe = PeerProbe(
        key: StaticKey().publicKey, configuration: try Self.configuration(StaticKey()), patience: .seconds(600))
      let (started, start) = AsyncStream<Void>.makeStream()
      let task = Task {
        try await probe.run(to: remote) { _ in start.yield() }
      }
      for await _ in started { break }
      task.cancel()
      await #expect(throws: UDPError.cancelled) { try await task.value }
      withExtendedLifetime(silent) {}
    }

    /// The older state comes first: no attempt under way leads to it.
    @Test func theStateThatAHelloNames() {
      let older = Self.password
      let newer = OneTimePassword.generate().state(provider: .swiftCrypto)
      #expect(PeerProbe.ratchets(of: RatchetPair(newer, older)) == [older, newer])
      #expect(PeerProbe.ratchets(of: RatchetPair(newer)) == [newer])
      #expect(PeerProbe.ratchets(of: .empty).isEmpty)
    }
  }
#endif
