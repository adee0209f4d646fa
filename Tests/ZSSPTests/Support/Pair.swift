// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Alice and Bob with a perfect link and a clock that jumps to the next deadline.
final class Pair {
  let alice: TestPeer
  let bob: TestPeer
  private(set) var now = Instant.milliseconds(1_000)
  /// The datagrams on their way, in order.
  private(set) var inFlight: [Datagram] = []

  /// - Parameter bobProfile: Bob's profile, where it is not the one that Alice has.
  init(
    provider: any CryptoProvider, profile: Profile = .kyber1024, bobProfile: Profile? = nil,
    flags: SecurityFlags = .opportunistic, helloPolicy: HelloPolicy = .allow, settings: Settings = Settings(),
    providerOfBob: (any CryptoProvider)? = nil, trace: (any TraceSink)? = nil
  ) throws {
    func configuration(_ provider: any CryptoProvider, _ profile: Profile) -> EndpointConfiguration {
      var configuration = EndpointConfiguration(
        staticKey: provider.generateAgreementKey(), provider: provider, profile: profile, flags: flags,
        helloPolicy: helloPolicy, settings: settings)
      configuration.trace = trace
      return configuration
    }
    alice = try TestPeer(configuration(provider, profile), at: Address(ipv4: 0x0A00_0001, port: 1111))
    bob = try TestPeer(
      configuration(providerOfBob ?? provider, bobProfile ?? profile), at: Address(ipv4: 0x0A00_0002, port: 2222))
  }

  /// Takes what both have to send into flight.
  func collect() {
    inFlight += alice.pump(at: now)
    inFlight += bob.pump(at: now)
  }

  /// Delivers the oldest datagram in flight. Returns it; nil if there is none.
  @discardableResult
  func deliverOne() -> Datagram? {
    collect()
    guard !inFlight.isEmpty else { return nil }
    let datagram = inFlight.removeFirst()
    deliver(datagram)
    return datagram
  }

  /// Delivers a datagram to whom it is for.
  func deliver(_ datagram: Datagram) {
    (datagram.to == alice.address ? alice : bob).receive(datagram.bytes, from: datagram.from, at: now)
    collect()
  }

  /// Delivers until nothing moves without time going on.
  func settle() {
    while deliverOne() != nil {}
  }

  /// Takes everything in flight out of the network.
  func intercept() -> [Datagram] {
    collect()
    defer { inFlight = [] }
    return inFlight
  }

  /// Lets time go on to `end`, from deadline to deadline, delivering everything.
  func run(until end: Instant) {
    settle()
    while let deadline = [alice.nextDeadline, bob.nextDeadline].compactMap(\.self).min(), deadline <= end {
      now = max(now, deadline)
      alice.advance(to: now)
      bob.advance(to: now)
      settle()
    }
    now = max(now, end)
  }

  /// Lets time go on by `duration`.
  func run(for duration: Duration) { run(until: now.advanced(by: duration)) }

  /// Lets time go on without anyone noticing.
  func skip(_ duration: Duration) { now = now.advanced(by: duration) }
}
