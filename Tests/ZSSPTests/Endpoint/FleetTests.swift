// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP

/// Two responders with one static key and one store, and a persistent peer that goes from one to
/// the other. Whatever comes late at the first, both sides have a ratchet state in common (section
/// 14).
@Suite("Responders that share a store (section 14)", .tags(.fast))
struct FleetTests {
  /// The store that the responders share, and what it does not answer yet.
  final class SharedStore {
    var memory: MemoryRatchetStore
    /// Decides whether a request is answered `failed`, later (nil), or by what is held.
    var fate: (StoreRequest) -> Fate = { _ in .answered }
    private(set) var asked: [StoreRequest] = []

    enum Fate { case answered, failed, later }

    init(_ memory: MemoryRatchetStore) { self.memory = memory }

    func answer(_ request: StoreRequest) -> StoreAnswer? {
      asked.append(request)
      return switch fate(request) {
      case .answered: memory.answer(request)
      case .failed: .failed
      case .later: nil
      }
    }

    var namesGivenUp: Int { asked.count { if case .revoke = $0 { true } else { false } } }
  }

  /// Alice, two responders, and the time.
  struct Fleet {
    let alice: TestPeer
    let bobs: [TestPeer]
    let store: SharedStore
    var now = Instant.milliseconds(1_000)

    init(_ provider: any CryptoProvider) throws {
      func configuration(_ key: any AgreementPrivateKey) -> EndpointConfiguration {
        EndpointConfiguration(staticKey: key, provider: provider, flags: .persistent)
      }
      let key = provider.generateAgreementKey()
      bobs = try (2...3).map { try TestPeer(configuration(key), at: Address(ipv4: 0x0A00_0000 + $0, port: 2222)) }
      alice = try TestPeer(
        configuration(provider.generateAgreementKey()), at: Address(ipv4: 0x0A00_0001, port: 1111))
      let password = [UInt8](repeating: 7, count: 32)
      let state = RatchetPair(RatchetState(oneTimePassword: password.rawBytes, provider: provider))
      alice.store = MemoryRatchetStore(pairs: [bobs[0].publicKey: state])
      store = SharedStore(MemoryRatchetStore(pairs: [alice.publicKey: state]))
      for bob in bobs {
        bob.decide = { _ in .accept(.persistent) }
        bob.answerStore = { [store] request in store.answer(request) }
      }
    }

    /// Delivers datagrams, and returns what comes of them.
    func round(_ datagrams: [Datagram]) -> [Datagram] {
      let peers = [alice] + bobs
      for datagram in datagrams {
        peers.first { $0.address == datagram.to }?.receive(datagram.bytes, from: datagram.from, at: now)
      }
      return peers.flatMap { $0.pump(at: now) }
    }

    /// Makes Alice begin a session with a responder, and returns her Hello.
    func hello(to bob: Int) throws -> [Datagram] {
      _ = try alice.open(to: bobs[bob], at: now)
      return alice.pump(at: now)
    }

    /// Advances the time from deadline to deadline; everything arrives.
    mutating func run(for duration: Duration) {
      let end = now.advanced(by: duration)
      var datagrams = ([alice] + bobs).flatMap { $0.pump(at: now) }
      while true {
        while !datagrams.isEmpty { datagrams = round(datagrams) }
        guard let deadline = ([alice] + bobs).compactMap(\.nextDeadline).min(), deadline <= end else { break }
        now = max(now, deadline)
        for peer in [alice] + bobs { peer.advance(to: now) }
        datagrams = ([alice] + bobs).flatMap { $0.pump(at: now) }
      }
      now = end
    }

    /// Alice has a session, and both stores hold the same.
    mutating func expectWorking(sourceLocation: SourceLocation = #_sourceLocation) throws {
      run(for: .seconds(40))
      let session = try #require(alice.establishedSession, sourceLocation: sourceLocation)
      #expect(alice.state(session) == "S2", sourceLocation: sourceLocation)
      #expect(
        alice.store.pairs[bobs[0].publicKey] == store.memory.pairs[alice.publicKey], sourceLocation: sourceLocation)
      #expect(([alice] + bobs).map(\.downgrades) == [0, 0, 0], sourceLocation: sourceLocation)
    }
  }

  // [DEC-63] [DEC-68]
  @Test(arguments: providers)
  func aLateX3AtTheFirstResponderComesToNothing(provider: any CryptoProvider) throws {
    var fleet = try Fleet(provider)
    let lateX3 = fleet.round(fleet.round(try fleet.hello(to: 0)))
    try fleet.alice.restart()
    let completion = fleet.round(fleet.round(try fleet.hello(to: 1)))
    // Alice has forgotten what the first X3 leads to.
    #expect(fleet.store.namesGivenUp == 1)
    _ = fleet.round(lateX3)
    #expect(fleet.bobs[0].sessionCount == 0 && fleet.bobs[0].statistics[.ratchetConflict] == 1)
    _ = fleet.round(completion)
    #expect(fleet.bobs[1].sessionCount == 1)
    try fleet.expectWorking()
  }

  // [DEC-63]
  /// The first responder takes X3 while the second is asking the store to give its outcome up.
  @Test(arguments: providers)
  func anX3ThatIsTakenBeforeItsOutcomeIsGivenUpStands(provider: any CryptoProvider) throws {
    var fleet = try Fleet(provider)
    let lateX3 = fleet.round(fleet.round(try fleet.hello(to: 0)))
    try fleet.alice.restart()
    fleet.store.fate = { if case .revoke = $0 { .later } else { .answered } }
    #expect(fleet.round(try fleet.hello(to: 1)).isEmpty)
    // What the first responder says of it is lost.
    _ = fleet.round(lateX3)
    #expect(fleet.bobs[0].sessionCount == 1)
    let (id, request) = try #require(fleet.bobs[1].unanswered.first)
    fleet.bobs[1].answer(id, fleet.store.memory.answer(request), at: fleet.now)
    fleet.store.fate = { _ in .answered }
    _ = fleet.round(fleet.round(fleet.bobs[1].pump(at: fleet.now)))
    #expect(fleet.bobs[1].sessionCount == 1)
    try fleet.expectWorking()
  }

  // [DEC-68]
  /// The first responder is re-keying when Alice leaves it, and hears of her answer afterwards.
  @Test(arguments: providers)
  func aLateK2AtTheFirstResponderComesToNothing(provider: any CryptoProvider) throws {
    var fleet = try Fleet(provider)
    _ = try fleet.alice.open(to: fleet.bobs[0], at: fleet.now)
    fleet.run(for: .seconds(2))
    #expect(fleet.bobs[0].rekey(try #require(fleet.bobs[0].establishedSession), at: fleet.now))
    let lateK2 = fleet.round(fleet.bobs[0].pump(at: fleet.now))
    try fleet.alice.restart()
    let completion = fleet.round(fleet.round(try fleet.hello(to: 1)))
    _ = fleet.round(lateK2)
    _ = fleet.round(completion)
    #expect(fleet.bobs[1].sessionCount == 1)
    try fleet.expectWorking()
  }

  // [DEC-12] [DEC-63]
  /// A Hello is not answered before the store remembers what Alice will forget.
  @Test(arguments: providers)
  func noX2LeavesWhileTheStoreFails(provider: any CryptoProvider) throws {
    var fleet = try Fleet(provider)
    _ = fleet.round(fleet.round(try fleet.hello(to: 0)))
    try fleet.alice.restart()
    fleet.store.fate = { if case .revoke = $0 { .failed } else { .answered } }
    #expect(fleet.round(try fleet.hello(to: 1)).isEmpty)
    #expect(fleet.bobs[1].statistics[.storeFailed] == 1 && fleet.bobs[1].halfOpenCount == 0)
    fleet.store.fate = { _ in .answered }
    try fleet.expectWorking()
  }

  /// Alice goes from one responder to the other again and again, and every X3 comes late and in any
  /// order.
  @Test(arguments: providers)
  func whateverComesLateOneStateIsInCommon(provider: any CryptoProvider) throws {
    for reversed in [false, true] {
      var fleet = try Fleet(provider)
      var late: [[Datagram]] = []
      for attempt in 0..<6 {
        late.append(fleet.round(fleet.round(try fleet.hello(to: attempt % 2))))
        try fleet.alice.restart()
      }
      for datagrams in reversed ? late.reversed() : late { _ = fleet.round(datagrams) }
      _ = try fleet.alice.open(to: fleet.bobs[0], at: fleet.now)
      try fleet.expectWorking()
    }
  }
}
