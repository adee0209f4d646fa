// SPDX-License-Identifier: Apache-2.0
@testable import ZSSP
@testable import ZSSPSimulator

/// Two endpoints, stopped in a state of the handshake or the re-key. One of them receives the
/// fuzzer's datagrams.
final class FuzzScene {
  /// The victim's state (section 11).
  enum State: Int, CaseIterable {
    case idle, a1, b2, a3, s1, s2, r1, r2
  }

  let provider: SeededProvider
  let alice: FuzzPeer
  let bob: FuzzPeer
  let victim: FuzzPeer
  var now = Instant.milliseconds(1_000)
  /// Genuine datagrams that were sent, the newest last.
  private(set) var sent: [Datagram] = []
  /// Those that are still on their way.
  private var inFlight: [Datagram] = []

  /// Small bounds, so that a short input can reach them.
  private static func settings(mtu: Int) -> Settings {
    var settings = Settings()
    settings.mtu = mtu
    (settings.halfOpenLimit, settings.helloLimit, settings.helloFragmentLimit) = (3, 4, 24)
    (settings.reassemblyPackets, settings.reassemblyBytes) = (4, 1 << 14)
    settings.rekeyUses = 64
    settings.keyUseLimit = 96
    return settings
  }

  init(_ state: State, mtu: Int, flags: SecurityFlags, helloPolicy: HelloPolicy, profile: Profile) {
    let provider = SeededProvider(StandInCrypto(), seed: 1, stream: 0)
    self.provider = provider
    func peer(_ host: UInt32) -> FuzzPeer {
      FuzzPeer(
        EndpointConfiguration(
          staticKey: provider.generateAgreementKey(), provider: provider, profile: profile, flags: flags,
          helloPolicy: helloPolicy, settings: Self.settings(mtu: mtu)),
        at: Address(ipv4: host, port: 9))
    }
    alice = peer(1)
    bob = peer(2)
    switch state {
    case .idle, .b2, .s1, .r2: victim = bob
    case .a1, .a3, .s2, .r1: victim = alice
    }
    if flags.contains(.helloRequiresRatchet) { share(with: provider) }
    reach(state)
  }

  /// A ratchet state that both have from a one-time password.
  private func share(with provider: any CryptoProvider) {
    let password = [UInt8](repeating: 7, count: 32)
    let state = RatchetState(oneTimePassword: password.rawBytes, provider: provider)
    alice.store = MemoryRatchetStore(pairs: [bob.endpoint.publicKey: RatchetPair(state)])
    bob.store = MemoryRatchetStore(pairs: [alice.endpoint.publicKey: RatchetPair(state)])
  }

  private func reach(_ state: State) {
    guard state != .idle else { return }
    guard let session = try? alice.endpoint.open(to: bob.endpoint.publicKey, at: bob.address, identity: [1], now: now)
    else { fatalError("the harness cannot open a session") }
    alice.answerAll(at: now)
    collect()
    let legs: [State: Int] = [.a1: 0, .b2: 1, .a3: 2, .s1: 3, .s2: 8, .r1: 8, .r2: 8]
    for _ in 0..<(legs[state] ?? 0) { deliverAll() }
    guard state == .r1 || state == .r2 else { return }
    _ = alice.endpoint.rekey(session, at: now)
    alice.answerAll(at: now)
    collect()
    if state == .r2 { deliverAll() }
  }

  /// Takes what both have to send.
  func collect() {
    let datagrams = alice.takeOutbox() + bob.takeOutbox()
    inFlight += datagrams
    sent += datagrams
    if sent.count > 64 { sent.removeFirst(sent.count - 64) }
    if inFlight.count > 64 { inFlight.removeFirst(inFlight.count - 64) }
  }

  /// Delivers everything on its way, and answers what is asked on the other end.
  func deliverAll() {
    let datagrams = inFlight
    inFlight = []
    for datagram in datagrams {
      guard let target = [alice, bob].first(where: { $0.address == datagram.to }) else { continue }
      target.receive(datagram.bytes, from: datagram.from, at: now)
      target.answerAll(at: now)
    }
    collect()
  }

  /// Lets time go on for both.
  func advance(by duration: Duration) {
    now = now.advanced(by: duration)
    for peer in [alice, bob] {
      peer.advance(to: now)
      if peer !== victim { peer.answerAll(at: now) }
    }
    collect()
  }
}
