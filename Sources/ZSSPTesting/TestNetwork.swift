// SPDX-License-Identifier: Apache-2.0
public import Logging
import NIOCore
import NIOConcurrencyHelpers
package import NIOEmbedded
public import ZSSP
public import ZSSPNIO
import ZSSPRandom

/// A network in memory for tests of applications. Its endpoints have the whole asynchronous API,
/// but no sockets, and a clock that stands still until the test advances it.
///
/// ```swift
/// func greeting() async throws -> [UInt8]? {
///   let network = TestNetwork()
///   func endpoint(_ address: String) async throws -> UDPEndpoint {
///     try await network.endpoint(
///       at: address, configuration: .init(staticKey: StaticKey().agreementKey, provider: .swiftCrypto))
///   }
///   let client = try await endpoint("10.0.0.1:1000")
///   let server = try await endpoint("10.0.0.2:4500")
///   try network.setAddresses(["10.0.0.2:4500"], of: "gw.example")
///   async let accepted = server.incoming.first { _ in true }?.accept()
///   let session = try await client.connect(to: "gw.example:4500", key: server.publicKey)
///   try await session.send(Array("hello".utf8))
///   return try await accepted?.messages.first { _ in true }
/// }
/// ```
///
/// Datagrams arrive at once unless ``conditions`` says otherwise. Time passes only in
/// ``advance(by:step:)``: without it no packet is sent again, no handshake expires, and no pause
/// ends. Public-key work and stores use other threads, as with sockets, so the order of concurrent
/// events is not fixed.
public final class TestNetwork: Sendable {
  private struct State {
    var conditions = Conditions()
    var counters = Counters()
    var receivers: [Address: MemoryReceiver] = [:]
    /// The addresses of endpoints, of those too that are being made.
    var taken: Set<Address> = []
    var lastPort = 49_151
    var cut: Set<Address> = []
    var separated: Set<[Address]> = []
    var names: [String: [SocketAddress]] = [:]
    var generator: SplitMix64
    /// Requests to stores that are not waited for any more.
    var hangingRequests = 0

    /// Returns a port that was not taken by a port of 0 before.
    mutating func takePort() -> Int {
      lastPort = lastPort == 65_535 ? 49_152 : lastPort + 1
      return lastPort
    }
  }

  package let eventLoop = NIOAsyncTestingEventLoop()
  private let state: NIOLockedValueBox<State>

  /// Makes an empty network.
  ///
  /// - Parameter seed: Determines which datagrams are lost and how long they are delayed.
  public init(seed: UInt64 = 1) { state = NIOLockedValueBox(State(generator: SplitMix64(seed: seed))) }

  /// The behaviour of the network for datagrams that are sent from now on.
  public var conditions: Conditions {
    get { state.withLockedValue { $0.conditions } }
    set { state.withLockedValue { $0.conditions = newValue } }
  }

  /// The fate of the datagrams so far.
  public var counters: Counters { state.withLockedValue { $0.counters } }

  /// The network's clock, for the application's own pauses.
  public var clock: TestClock { TestClock(network: self) }

  /// Makes an endpoint.
  ///
  /// - Parameters:
  ///   - address: The endpoint's address, `10.0.0.1:4500` or `[2001:db8::1]:4500`, which must be
  ///     free. Port 0 takes any.
  ///   - configuration: The static key, the crypto provider, and the protocol's settings.
  ///   - store: The ratchet store. The default is in memory.
  ///   - options: Buffers and limits of the transport. The number of shards is ignored; it is
  ///     always one.
  ///   - logger: The endpoint's logger; nil for none.
  /// - Throws: ``/ZSSPNIO/UDPError/invalidAddress(_:reason:)``,
  ///   ``/ZSSPNIO/UDPError/bindFailed(host:port:reason:)`` if the address is taken, or
  ///   ``/ZSSPNIO/UDPError/configuration(_:)``.
  public func endpoint(
    at address: String, configuration: EndpointConfiguration, store: any RatchetStore = VolatileRatchetStore(),
    options: UDPOptions = UDPOptions(), logger: Logger? = nil
  ) async throws(UDPError) -> UDPEndpoint {
    var local = try SocketAddress(hostAndPort: address)
    if local.port == 0 { local.port = state.withLockedValue { $0.takePort() } }
    guard let name = Address(local)?.unmapped else {
      throw .invalidAddress(address, reason: "an IP address is needed")
    }
    guard state.withLockedValue({ $0.taken.insert(name).inserted }) else {
      throw .bindFailed(host: local.ipAddress ?? "", port: local.port ?? 0, reason: .portInUse)
    }
    let resolver = NameResolver { [state] host, port in
      state.withLockedValue { $0.names[host] ?? [] }.map { known in
        var address = known
        address.port = port
        return address
      }
    }
    do {
      let (endpoint, receiver) = try await UDPEndpoint.bind(
        to: local, on: self, eventLoop: eventLoop, configuration: configuration, store: store, options: options,
        resolver: resolver, logger: logger)
      state.withLockedValue { $0.receivers[name] = receiver }
      return endpoint
    } catch {
      state.withLockedValue { _ = $0.taken.remove(name) }
      throw error
    }
  }

  /// Sets the addresses of a name from now on; an empty array makes it unknown. Ports are ignored.
  ///
  /// - Throws: ``/ZSSPNIO/UDPError/invalidAddress(_:reason:)``.
  public func setAddresses(_ addresses: [String], of name: String) throws(UDPError) {
    var known: [SocketAddress] = []
    for address in addresses { known.append(try SocketAddress(hostAndPort: address)) }
    state.withLockedValue { $0.names[name] = known }
  }

  // MARK: Partitions

  /// Cuts an endpoint off from all others, until it is closed: its datagrams, and those for it, are
  /// lost. Closing it then is like killing its process: no peer is told.
  public func cutOff(_ endpoint: UDPEndpoint) {
    guard let address = Address(endpoint.localAddress)?.unmapped else { return }
    state.withLockedValue { _ = $0.cut.insert(address) }
  }

  /// Ends ``cutOff(_:)`` of an endpoint.
  public func reconnect(_ endpoint: UDPEndpoint) {
    guard let address = Address(endpoint.localAddress)?.unmapped else { return }
    state.withLockedValue { _ = $0.cut.remove(address) }
  }

  /// Cuts two endpoints off from each other.
  public func separate(_ one: UDPEndpoint, _ other: UDPEndpoint) {
    guard let one = Address(one.localAddress)?.unmapped, let other = Address(other.localAddress)?.unmapped else {
      return
    }
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

  /// The time since the network was created.
  public var now: Duration { .nanoseconds(Int64(clamping: eventLoop.now.uptimeNanoseconds)) }

  /// Advances the time in steps. After each it waits for the endpoints' public-key work and
  /// requests to stores. Tasks of the application run concurrently; a test must wait for what it
  /// expects of them.
  ///
  /// - Parameters:
  ///   - duration: The time to advance.
  ///   - step: The length of a step, 50 ms by default. A timer that is set within a step may fire
  ///     up to a step late.
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

  /// Advances the time until `condition` is true.
  ///
  /// - Parameters:
  ///   - limit: The longest time to advance, one hour by default.
  ///   - step: The length of a step, 50 ms by default.
  ///   - condition: Called after each step.
  /// - Returns: True if the condition is true.
  @discardableResult
  public func advance(
    atMost limit: Duration = .seconds(3600), step: Duration = .milliseconds(50), until condition: () async -> Bool
  ) async -> Bool {
    let end = now + limit
    while await !condition() {
      guard now < end, !Task.isCancelled else { return false }
      await advance(by: step, step: step)
    }
    return true
  }

  /// Waits until the endpoints have no unfinished work. A store that does not answer holds it up
  /// once, for five seconds.
  public func settle() async {
    let end = ContinuousClock().now.advanced(by: Self.patience)
    while !Task.isCancelled {
      // Work that tasks have begun reaches the event loop first.
      await Task.yield()
      let receivers = state.withLockedValue { Array($0.receivers.values) }
      let work: Int
      let requests: Int
      do {
        (work, requests) = try await eventLoop.executeInContext {
          (
            receivers.reduce(0) { $0 + $1.workInFlight }, receivers.reduce(0) { $0 + $1.storeRequestsInFlight }
          )
        }
      } catch {
        // The check cannot fail.
        break
      }
      guard work == 0 else { continue }
      let isPatienceOver = ContinuousClock().now >= end
      let isSettled = state.withLockedValue { state in
        state.hangingRequests = isPatienceOver ? requests : min(state.hangingRequests, requests)
        return requests <= state.hangingRequests
      }
      if isSettled { break }
    }
  }

  /// The real time for which a store may hold up ``settle()``.
  private static let patience = Duration.seconds(5)
}

extension TestNetwork: MemoryNetwork {
  package func send(_ datagram: [UInt8], from source: Address, to target: Address) {
    let source = source.unmapped
    let target = target.unmapped
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

  package func closed(_ address: Address) {
    let address = address.unmapped
    state.withLockedValue { state in
      state.receivers[address] = nil
      state.taken.remove(address)
      state.cut.remove(address)
    }
  }
}
