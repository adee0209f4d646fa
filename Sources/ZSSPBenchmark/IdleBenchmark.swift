// SPDX-License-Identifier: Apache-2.0
public import ZSSP
import ZSSPNIO

/// Many unused sessions at one endpoint that probes their peers.
public enum IdleBenchmark {
  /// The simulated time, after the first probes have spread.
  private static let span = Duration.seconds(60)
  private static let keepAlive = Duration.seconds(15)

  /// Measures the endpoint's processor time and datagrams per second of virtual time, and the
  /// distribution of its probes.
  ///
  /// - Throws: ``EndpointLink/Broken``.
  public static func run(_ provider: any CryptoProvider, effort: BenchmarkEffort = .init()) throws -> [Figure] {
    let server = try Server(provider, count: effort.sessions, keepAlive: keepAlive)
    // All sessions begin at the same time. Their first probes come within a quarter of the
    // keep-alive time.
    server.run(for: keepAlive * 2)
    var time = [Double]()
    var datagrams = [Double]()
    var busiest = [Double]()
    var silence = [Double]()
    for _ in 0..<effort.rounds {
      let period = server.run(for: span)
      time.append(period.processorTime / .microseconds(1) / (span / .seconds(1)))
      datagrams.append(Double(period.datagrams) / (span / .seconds(1)))
      busiest.append(Double(period.busiestTenth) * 10 / max(1, datagrams.last ?? 1))
      silence.append(period.longestSilence / .seconds(1))
    }
    guard server.sessionCount == effort.sessions else {
      throw EndpointLink.Broken(description: "\(effort.sessions - server.sessionCount) idle sessions have ended")
    }
    let many = "\(effort.sessions) idle sessions"
    return [
      Figure("idle", name: "processor time a second, \(many)", rounds: time, unit: "µs"),
      Figure("idle", name: "datagrams a second, both ways, \(many)", rounds: datagrams, unit: "1/s"),
      Figure("idle", name: "busiest tenth of a second beside the mean", rounds: busiest, unit: ""),
      Figure(
        "idle", name: "longest silence before a probe", rounds: silence, unit: "s",
        bound: ("keep-alive time", silence.map { _ in 15 })),
    ]
  }

  /// The measurements of a span of virtual time.
  private struct Period {
    var processorTime = Duration.zero
    var datagrams = 0
    /// The maximum number of datagrams in a tenth of a second.
    var busiestTenth = 0
    var longestSilence = Duration.zero
  }

  /// An endpoint, and the peers of its sessions, which only answer.
  private final class Server {
    private var endpoint: Endpoint
    private var peers: [Peer] = []
    private var now = Instant(nanoseconds: 1_000_000_000)
    private static let address = Address(ipv4: 0x0A00_0001, port: 1)

    /// A peer's endpoint, in an object so that it is not moved.
    private final class Peer {
      var endpoint: Endpoint
      var heard: Instant

      init(_ provider: some CryptoProvider, at now: Instant) throws {
        var settings = Settings()
        settings.expandedKeys = 1
        settings.halfOpenLimit = 1
        endpoint = try Endpoint(
          EndpointConfiguration(
            staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .drop, settings: settings))
        heard = now
      }
    }

    var sessionCount: Int { endpoint.sessionCount }

    init(_ provider: some CryptoProvider, count: Int, keepAlive: Duration) throws {
      var settings = Settings()
      // Only the effects of silence are measured.
      settings.keepAlive = keepAlive
      settings.idleTimeout = keepAlive * 3
      settings.rekeyAfter = .seconds(1_000_000)
      endpoint = try Endpoint(
        EndpointConfiguration(
          staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow, settings: settings))
      for number in 0..<count {
        let peer = try Peer(provider, at: now)
        peers.append(peer)
        _ = try peer.endpoint.open(to: endpoint.publicKey, at: Self.address, now: now)
        for _ in 0..<4 {
          Self.pump(&peer.endpoint, at: now)
          deliver(from: number)
          Self.pump(&endpoint, at: now)
          exchange()
        }
      }
      guard endpoint.sessionCount == count else {
        throw EndpointLink.Broken(description: "\(endpoint.sessionCount) sessions of \(count)")
      }
    }

    private static func peerAddress(_ number: Int) -> Address {
      Address(ipv4: 0x0B00_0000 + UInt32(truncatingIfNeeded: number), port: 2)
    }

    private static func pump(_ endpoint: inout Endpoint, at now: Instant) {
      while let request = endpoint.nextRequest() {
        switch request {
        case .store(let id, .lookUp): endpoint.answer(id, store: .unknown, at: now)
        case .store(let id, .load), .store(let id, .revoke): endpoint.answer(id, store: .pair(.empty), at: now)
        case .store(let id, .compareAndSwap): endpoint.answer(id, store: .swapped, at: now)
        case .accept(let id, _): endpoint.answer(id, accept: .accept(.opportunistic), at: now)
        case .work(let work): endpoint.complete(work.run(), at: now)
        }
      }
      while endpoint.nextEvent() != nil {}
    }

    /// Advances the time from deadline to deadline.
    @discardableResult
    func run(for duration: Duration) -> Period {
      var period = Period()
      let end = now.advanced(by: duration)
      var tenth = Int64(0)
      var inTenth = 0
      while let deadline = endpoint.nextDeadline, deadline <= end {
        now = max(now, deadline)
        let start = ThreadClock.now
        endpoint.advance(to: now)
        period.processorTime += ThreadClock.now - start
        let before = period.datagrams
        while !endpoint.outbox.isEmpty { exchange(&period) }
        Self.pump(&endpoint, at: now)
        if now.nanoseconds / 100_000_000 != tenth {
          tenth = now.nanoseconds / 100_000_000
          inTenth = 0
        }
        inTenth += period.datagrams - before
        period.busiestTenth = max(period.busiestTenth, inTenth)
      }
      now = end
      return period
    }

    /// Delivers the endpoint's datagrams to its peers, and theirs to the endpoint.
    private func exchange() {
      var period = Period()
      exchange(&period)
    }

    private func exchange(_ period: inout Period) {
      for (address, size, datagrams) in Self.takeOutbox(&endpoint) {
        let number = Int(truncatingIfNeeded: address.low) - 0x0B00_0000
        let peer = peers[number]
        period.longestSilence = max(period.longestSilence, peer.heard.duration(to: now))
        peer.heard = now
        Self.receive(datagrams, size: size, by: &peer.endpoint, from: Self.address, at: now)
        Self.pump(&peer.endpoint, at: now)
        period.datagrams += 1
        deliver(from: number, &period)
      }
    }

    private static func takeOutbox(_ endpoint: inout Endpoint) -> [(to: Address, size: Int, bytes: [UInt8])] {
      var taken: [(to: Address, size: Int, bytes: [UInt8])] = []
      for run in endpoint.outbox.runs {
        let bytes = endpoint.outbox.bytes.extracting(run.range).withUnsafeBytes { Array($0) }
        taken.append((run.address, run.segmentSize, bytes))
      }
      endpoint.outbox.removeAll()
      return taken
    }

    private static func receive(
      _ datagrams: [UInt8], size: Int, by endpoint: inout Endpoint, from source: Address, at now: Instant
    ) {
      var datagrams = datagrams
      datagrams.withUnsafeMutableBytes { buffer in
        var burst = MutableRawSpan(_unsafeBytes: buffer)
        endpoint.receive(burst: &burst, segmentSize: size, from: source, at: now)
      }
    }

    private func deliver(from number: Int) {
      var period = Period()
      deliver(from: number, &period)
    }

    /// Delivers a peer's datagrams to the endpoint.
    private func deliver(from number: Int, _ period: inout Period) {
      for (_, size, datagrams) in Self.takeOutbox(&peers[number].endpoint) {
        let start = ThreadClock.now
        Self.receive(datagrams, size: size, by: &endpoint, from: Self.peerAddress(number), at: now)
        period.processorTime += ThreadClock.now - start
        period.datagrams += 1
      }
    }
  }
}
