// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Two endpoints in memory. Datagrams arrive in bursts, and none is lost.
struct EndpointLink: ~Copyable {
  /// The error for a benchmark that did not complete.
  struct Broken: Error, CustomStringConvertible {
    let description: String
  }

  private static let aliceAddress = Address(ipv4: 0x0A00_0001, port: 1)
  private static let bobAddress = Address(ipv4: 0x0A00_0002, port: 2)

  var alice: Endpoint
  var bob: Endpoint
  private var aliceStore = MemoryRatchetStore()
  private var bobStore = MemoryRatchetStore()
  /// Alice's established sessions, in order.
  private(set) var sessions: [SessionID] = []
  private let bobKey: PublicKey
  private let wire = Wire()
  private(set) var now = Instant(nanoseconds: 1_000_000_000)

  init(_ provider: any CryptoProvider, mtu: Int = 1500, shard: Shard = .only) throws {
    var settings = Settings()
    settings.mtu = mtu
    settings.shard = shard
    func configuration(_ provider: some CryptoProvider) -> EndpointConfiguration {
      EndpointConfiguration(
        staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow, settings: settings)
    }
    let first = configuration(provider)
    let second = configuration(provider)
    bobKey = second.staticKey.publicKey
    let alice = try Endpoint(first)
    bob = try Endpoint(second)
    self.alice = alice
  }

  /// The buffer between sender and receiver.
  private final class Wire {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    deinit { bytes.deallocate() }
  }

  /// Establishes one more session, up to the peer's confirmation. It replaces the previous one.
  ///
  /// - Throws: ``Broken``, or the error of the endpoint.
  mutating func handshake() throws {
    let before = sessions.count
    _ = try alice.open(to: bobKey, at: Self.bobAddress, now: now)
    for _ in 0..<4 {
      pumpAlice()
      _ = aliceToBob()
      pumpBob()
      _ = bobToAlice()
    }
    pumpAlice()
    guard sessions.count == before + 1 else { throw Broken(description: "a handshake was not completed") }
  }

  /// Advances the time.
  mutating func skip(_ duration: Duration) {
    now = now.advanced(by: duration)
    alice.advance(to: now)
    bob.advance(to: now)
  }

  private mutating func pumpAlice() {
    Self.answer(&alice, store: &aliceStore, at: now)
    while let event = alice.nextEvent() {
      if case .established(let id, _) = event { sessions.append(id) }
    }
  }

  private mutating func pumpBob() {
    Self.answer(&bob, store: &bobStore, at: now)
    while bob.nextEvent() != nil {}
  }

  private static func answer(_ endpoint: inout Endpoint, store: inout MemoryRatchetStore, at now: Instant) {
    while let request = endpoint.nextRequest() {
      switch request {
      case .store(let id, let request): endpoint.answer(id, store: store.answer(request), at: now)
      case .accept(let id, _): endpoint.answer(id, accept: .accept(.opportunistic), at: now)
      case .work(let work): endpoint.complete(work.run(), at: now)
      }
    }
  }

  /// Moves Alice's datagrams to Bob. Returns the number of received messages.
  mutating func aliceToBob() -> Int {
    Self.move(from: &alice, to: &bob, source: Self.aliceAddress, wire: wire, at: now)
  }
  /// Moves Bob's datagrams to Alice. Returns the number of received messages.
  mutating func bobToAlice() -> Int { Self.move(from: &bob, to: &alice, source: Self.bobAddress, wire: wire, at: now) }

  /// Acts as the network: copies the datagrams once, and delivers them run by run.
  private static func move(
    from sender: inout Endpoint, to receiver: inout Endpoint, source: Address, wire: Wire, at now: Instant
  ) -> Int {
    var messages = 0
    for index in sender.outbox.runs.indices {
      let run = sender.outbox.runs[index]
      let target = UnsafeMutableRawBufferPointer(rebasing: wire.bytes[0..<run.range.count])
      sender.outbox.bytes.extracting(run.range).withUnsafeBytes { target.copyMemory(from: $0) }
      var burst = MutableRawSpan(_unsafeBytes: target)
      receiver.receive(burst: &burst, segmentSize: run.segmentSize, from: source, at: now)
      messages += receiver.inbox.count
      receiver.inbox.removeAll(keepingCapacity: true)
    }
    sender.outbox.removeAll()
    return messages
  }
}
