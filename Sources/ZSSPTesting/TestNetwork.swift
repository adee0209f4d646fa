// SPDX-License-Identifier: Apache-2.0
public import Logging
import NIOCore
import NIOConcurrencyHelpers
package import NIOEmbedded
public import ZSSP
public import ZSSPNIO

/// A network in memory for tests of applications: endpoints with the whole asynchronous API, without sockets, and with a
/// clock that stands still until the test advances it.
///
/// ```swift
/// func greeting() async throws -> [UInt8]? {
///   let network = TestNetwork()
///   func endpoint(_ address: String) async throws -> UDPEndpoint {
///     try await network.endpoint(
///       at: address, configuration: .init(staticKey: StaticKey().agreementKey, provider: .swiftCrypto))
///   }
///   let (client, server) = (try await endpoint("10.0.0.1:1000"), try await endpoint("10.0.0.2:4500"))
///   try network.setAddresses(["10.0.0.2:4500"], of: "gw.example")
///   async let accepted = server.incoming.first { _ in true }?.accept()
///   let session = try await client.connect(to: "gw.example:4500", key: server.publicKey)
///   try await session.send(Array("hello".utf8))
///   return try await accepted?.messages.first { _ in true }
/// }
/// ```
///
/// Datagrams arrive at once unless ``conditions`` says otherwise. Time passes in ``advance(by:)`` only: without it no
/// packet is sent again, no handshake expires, and no pause ends. Public-key work and stores run on threads of
/// their own, as with sockets, so that the order of what happens at once is not fixed.
public final class TestNetwork: Sendable {
  /// What the network does to datagrams.
  public struct Conditions: Sendable, Hashable {
    /// The part of the datagrams that is lost, 0…1.
    public var loss = 0.0
    /// How long each takes on the way.
    public var delay = Duration.zero
    /// Up to this much more, drawn for each, so that datagrams overtake each other.
    public var jitter = Duration.zero

    /// Nothing is lost, and everything arrives at once.
    public init() {}
  }

  /// What became of the datagrams.
  public struct Counters: Sendable, Hashable {
    /// Datagrams that were sent.
    public internal(set) var sent = 0
    /// Of these, those that were lost by ``Conditions/loss``.
    public internal(set) var lost = 0
    /// Those that a partition kept back.
    public internal(set) var cutOff = 0
    /// Those for an address where there is no endpoint.
    public internal(set) var undeliverable = 0
  }

  private struct State {
    var conditions = Conditions()
    var counters = Counters()
    var receivers: [Address: MemoryReceiver] = [:]
    var cut: Set<Address> = []
    var separated: Set<[Address]> = []
    var names: [String: [SocketAddress]] = [:]
    var generator: Generator
  }

  package let eventLoop = NIOAsyncTestingEventLoop()
  private let state: NIOLockedValueBox<State>

  /// An empty network.
  ///
  /// - Parameter seed: decides which datagrams are lost and how long they take.
  public init(seed: UInt64 = 1) { state = NIOLockedValueBox(State(generator: Generator(state: seed))) }

  /// What the network does to datagrams that are sent from now on.
  public var conditions: Conditions {
    get { state.withLockedValue { $0.conditions } }
    set { state.withLockedValue { $0.conditions = newValue } }
  }

  /// What became of the datagrams so far.
  public var counters: Counters { state.withLockedValue { $0.counters } }

  /// The network's time, for the application's own pauses.
  public var clock: TestClock { TestClock(network: self) }

  /// Makes an endpoint.
  ///
  /// - Parameters:
  ///   - address: where it is, `10.0.0.1:4500` or `[2001:db8::1]:4500`. There must be no other endpoint.
  ///   - configuration: the static key, the crypto provider, and the protocol's settings.
  ///   - store: where ratchet states are kept.
  ///   - options: buffers and limits of the transport. Shards do not count: there is one.
  ///   - logger: where the endpoint logs.
  /// - Throws: ``UDPError/invalidAddress(_:reason:)``, ``UDPError/bindFailed(host:port:reason:)`` if the address is
  ///   taken, or ``UDPError/configuration(_:)``.
  public func endpoint(
    at address: String, configuration: EndpointConfiguration, store: any RatchetStore = VolatileRatchetStore(),
    options: UDPOptions = UDPOptions(), logger: Logger? = nil
  ) async throws(UDPError) -> UDPEndpoint {
    let local = try SocketAddress(hostAndPort: address)
    guard let name = Address(local) else { throw .invalidAddress(address, reason: "an IP address is needed") }
    guard state.withLockedValue({ $0.receivers[name] == nil }) else {
      throw .bindFailed(host: local.ipAddress ?? "", port: local.port ?? 0, reason: .portInUse)
    }
    let resolver = NameResolver { [state] host, port in
      state.withLockedValue { $0.names[host] ?? [] }.map { known in
        var address = known
        address.port = port
        return address
      }
    }
    let (endpoint, receiver) = try await UDPEndpoint.bind(
      to: local, on: self, eventLoop: eventLoop, configuration: configuration, store: store, options: options,
      resolver: resolver, logger: logger)
    state.withLockedValue { $0.receivers[name] = receiver }
    return endpoint
  }

  /// Says which addresses a name has from now on; none for a name that is not known any more. The ports do not count.
  ///
  /// - Throws: ``UDPError/invalidAddress(_:reason:)``.
  public func setAddresses(_ addresses: [String], of name: String) throws(UDPError) {
    var known: [SocketAddress] = []
    for address in addresses { known.append(try SocketAddress(hostAndPort: address)) }
    state.withLockedValue { $0.names[name] = known }
  }

  // MARK: Partitions

  /// Cuts an endpoint off from all others: its datagrams and those for it are lost.
  public func cutOff(_ endpoint: UDPEndpoint) {
    guard let address = Address(endpoint.localAddress) else { return }
    state.withLockedValue { _ = $0.cut.insert(address) }
  }

  /// Connects an endpoint again that was cut off.
  public func reconnect(_ endpoint: UDPEndpoint) {
    guard let address = Address(endpoint.localAddress) else { return }
    state.withLockedValue { _ = $0.cut.remove(address) }
  }

  /// Separates two endpoints from each other.
  public func separate(_ one: UDPEndpoint, _ other: UDPEndpoint) {
    guard let one = Address(one.localAddress), let other = Address(other.localAddress) else { return }
    state.withLockedValue { state in
      state.separated.insert([one, other])
      state.separated.insert([other, one])
    }
  }

  /// Ends all partitions.
  public func heal() {
    state.withLockedValue { state in
      state.cut = []
      state.separated = []
    }
  }

  // MARK: Time

  /// How much time has passed since the network was made.
  public var now: Duration { .nanoseconds(Int64(clamping: eventLoop.now.uptimeNanoseconds)) }

  /// Lets time pass, in steps, and waits after each for what the endpoints have under way: public-key work, and requests to
  /// stores. Tasks of the application run beside it, as they always do; a test waits for what it expects of them.
  ///
  /// - Parameters:
  ///   - duration: how much time passes.
  ///   - step: the steps in which it does. A timer that is set by what happens within a step may fire up to a step late.
  public func advance(by duration: Duration, step: Duration = .milliseconds(50)) async {
    let step = max(step, .nanoseconds(1))
    var left = duration
    await settle()
    while left > .zero {
      let part = min(step, left)
      left -= part
      await eventLoop.advanceTime(by: .nanoseconds(part.inNanoseconds))
      await settle()
    }
  }

  /// Lets time pass until `condition` holds, an hour at most.
  ///
  /// - Returns: whether it holds.
  @discardableResult
  public func advance(step: Duration = .milliseconds(50), until condition: () async -> Bool) async -> Bool {
    let end = now + .seconds(3600)
    while await !condition() {
      guard now < end, !Task.isCancelled else { return false }
      await advance(by: step, step: step)
    }
    return true
  }

  /// Waits until the endpoints have nothing under way.
  public func settle() async {
    while !Task.isCancelled {
      // What tasks have begun reaches the event loop first.
      await Task.yield()
      let receivers = state.withLockedValue { Array($0.receivers.values) }
      do {
        if try await eventLoop.executeInContext({ receivers.allSatisfy(\.isIdle) }) { break }
      } catch {
        // The check does not fail.
        break
      }
    }
  }
}

extension TestNetwork: MemoryNetwork {
  package func send(_ datagram: [UInt8], from source: Address, to target: Address) {
    let (receiver, delay): (MemoryReceiver?, Duration) = state.withLockedValue { state in
      state.counters.sent += 1
      if state.cut.contains(source) || state.cut.contains(target) || state.separated.contains([source, target]) {
        state.counters.cutOff += 1
        return (nil, .zero)
      }
      let conditions = state.conditions
      if conditions.loss > 0, Double.random(in: 0..<1, using: &state.generator) < conditions.loss {
        state.counters.lost += 1
        return (nil, .zero)
      }
      let jitter = conditions.jitter > .zero ? Double.random(in: 0...1, using: &state.generator) : 0
      guard let receiver = state.receivers[target] else {
        state.counters.undeliverable += 1
        return (nil, .zero)
      }
      return (receiver, conditions.delay + conditions.jitter * jitter)
    }
    guard let receiver else { return }
    guard delay > .zero else { return receiver.receive(datagram, from: source) }
    eventLoop.scheduleTask(in: .nanoseconds(delay.inNanoseconds)) { receiver.receive(datagram, from: source) }
  }

  package func closed(_ address: Address) { state.withLockedValue { $0.receivers[address] = nil } }
}

/// SplitMix64: the same numbers for the same seed.
private struct Generator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

extension Duration {
  /// The whole nanoseconds, at most `Int64.max`.
  var inNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflows ? .max : product &+ attoseconds / 1_000_000_000
  }
}
