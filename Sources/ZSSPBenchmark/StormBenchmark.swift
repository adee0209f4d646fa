// SPDX-License-Identifier: Apache-2.0
public import ZSSP
import ZSSPNIO

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A responder that loses all sessions at once, while its peers and its store keep their ratchet
/// states: they come back in persistent mode.
public enum StormBenchmark {
  /// The time after which a storm that is not over has failed.
  static let patience = Duration.seconds(600)

  /// The measurements of one storm.
  public struct Storm: Sendable {
    /// The times until half of the peers, 99 % of them, and all were back, in seconds.
    var half = 0.0
    var most = 0.0
    var all = 0.0
    /// Handshakes per second until 99 % of the peers were back. The last ones wait for timers.
    public private(set) var rate = 0.0
    /// Processor time of both sides per handshake, in nanoseconds.
    var processorTime = 0.0
    /// Handshakes that were begun anew for each that succeeded.
    var restarts = 0.0

    init(_ peers: StormPeers, since start: Instant, took processorTime: Duration) {
      func seconds(_ fraction: Double) -> Double {
        let index = min(peers.count - 1, Int(Double(peers.count) * fraction))
        return start.duration(to: peers.returns[index]) / .seconds(1)
      }
      half = seconds(0.5)
      most = seconds(0.99)
      all = seconds(1)
      rate = 0.99 * Double(peers.count) / most
      self.processorTime = processorTime / .nanoseconds(1) / Double(peers.count)
      restarts = Double(peers.restarts) / Double(peers.count)
    }
  }

  /// Returns the responder's configuration: persistent mode, and a budget that does not limit it.
  /// An operator of many peers raises the budget as well.
  static func configuration(_ provider: some CryptoProvider) -> EndpointConfiguration {
    var budget = HelloBudget()
    budget.unchallenged = .seconds(60)
    // While the limit of work is reached, Hellos wait and are charged to this one.
    budget.challenged = .seconds(60)
    budget.perSource = 1_000_000
    return EndpointConfiguration(
      staticKey: provider.generateAgreementKey(), provider: provider, flags: .persistent,
      helloPolicy: .automatic(budget))
  }

  /// Runs a storm in memory, with both sides on one thread.
  ///
  /// - Throws: ``EndpointLink/Broken``, or an error of an endpoint.
  public static func inMemory(_ provider: any CryptoProvider, peers count: Int) throws -> Storm {
    let responder = try MemoryResponder(configuration(provider))
    let peers = try StormPeers(count, provider, responder: responder.publicKey) { peer, bytes, segmentSize in
      responder.enqueue(bytes, segmentSize: segmentSize, from: peer)
    }
    responder.fill(with: peers.pairs)
    let clock = ContinuousClock()
    let began = clock.now
    func now() -> Instant { Instant(nanoseconds: 1_000_000_000 + Int64((clock.now - began) / .nanoseconds(1))) }
    let start = now()
    let processor = ThreadClock.now
    try peers.begin(to: MemoryResponder.address, at: start)
    var nextTimers = start
    while !peers.areBack {
      let time = now()
      guard start.duration(to: time) < patience else { throw notOver(peers) }
      if time >= nextTimers {
        peers.fireTimers(at: time)
        responder.fireTimers(at: time)
        nextTimers = time.advanced(by: .milliseconds(10))
      }
      let arePeersBusy = peers.advanceWork(at: time)
      let isResponderBusy = responder.advance(at: time)
      responder.deliver { bytes in peers.receive(&bytes, from: MemoryResponder.address, at: time) }
      // Only timers are left.
      if !arePeersBusy, !isResponderBusy { usleep(200) }
    }
    return Storm(peers, since: start, took: ThreadClock.now - processor)
  }

  static func notOver(_ peers: StormPeers) -> EndpointLink.Broken {
    EndpointLink.Broken(description: "after \(patience) only \(peers.returns.count) of \(peers.count) peers are back")
  }

  /// Returns the handshakes per second that the primitives allow, on one core for both sides.
  public static func bound(_ provider: any CryptoProvider, effort: BenchmarkEffort) -> Double {
    1e9 / HandshakeBenchmark.primitives(provider, effort: effort, together: true)
  }

  /// Returns the figures of storms of the same kind.
  ///
  /// - Parameters:
  ///   - name: The kind of storm.
  ///   - bounds: What `reference` is, and its rates.
  public static func figures(
    _ storms: [Storm], name: String, bound reference: String, _ bounds: [Double]
  ) -> [Figure] {
    [
      Figure(
        "storm", name: "handshakes, \(name)", rounds: storms.map(\.rate), unit: "1/s", bound: (reference, bounds),
        higherIsBetter: true),
      Figure("storm", name: "  until 50 % are back", rounds: storms.map(\.half), unit: "s"),
      Figure("storm", name: "  until 99 % are back", rounds: storms.map(\.most), unit: "s"),
      Figure("storm", name: "  until all are back", rounds: storms.map(\.all), unit: "s"),
      Figure("storm", name: "  processor time of both sides, each", rounds: storms.map(\.processorTime), unit: "ns"),
      Figure("storm", name: "  handshakes begun anew, each", rounds: storms.map(\.restarts), unit: ""),
    ]
  }
}

/// A responder in memory.
private final class MemoryResponder {
  static let address = Address(ipv4: 0x0A00_0001, port: 1)

  private var endpoint: Endpoint
  private var store = MemoryRatchetStore()
  private var work: WorkPool
  /// Datagrams that wait for the responder.
  private var incoming: [(peer: Int, bytes: [UInt8])] = []

  init(_ configuration: EndpointConfiguration) throws {
    endpoint = try Endpoint(configuration)
    work = WorkPool(configuration.provider)
  }

  var publicKey: PublicKey { endpoint.publicKey }

  func fill(with pairs: [PublicKey: RatchetPair]) { store = MemoryRatchetStore(pairs: pairs) }

  func enqueue(_ bytes: [UInt8], segmentSize: Int, from peer: Int) {
    for start in stride(from: 0, to: bytes.count, by: max(1, segmentSize)) {
      incoming.append((peer, Array(bytes[start..<min(start + segmentSize, bytes.count)])))
    }
  }

  func fireTimers(at now: Instant) { endpoint.advance(to: now) }

  /// Receives what waits, and does a round of work. Returns false if there was nothing to do.
  func advance(at now: Instant) -> Bool {
    let datagrams = incoming
    let hasWork = work.isBusy || !datagrams.isEmpty
    incoming.removeAll(keepingCapacity: true)
    for (peer, bytes) in datagrams {
      var bytes = bytes
      bytes.withUnsafeMutableBytes { bytes in
        var datagram = MutableRawSpan(_unsafeBytes: bytes)
        _ = endpoint.receive(&datagram, from: Address(ipv4: 0x0B00_0000 + UInt32(peer), port: 1), at: now)
      }
      answerRequests(at: now)
    }
    for item in work.advance() { endpoint.complete(item.result, took: item.time, at: now) }
    answerRequests(at: now)
    return hasWork || work.isBusy
  }

  private func answerRequests(at now: Instant) {
    while let request = endpoint.nextRequest() {
      switch request {
      case .store(let id, let request): endpoint.answer(id, store: store.answer(request), at: now)
      case .accept(let id, _): endpoint.answer(id, accept: .accept(.persistent), at: now)
      case .work(let item): work.add(item, of: 0)
      }
    }
    while endpoint.nextEvent() != nil {}
  }

  /// Passes each datagram for a peer to `receive`. The peer is named by the key id.
  func deliver(_ receive: (inout MutableRawSpan) -> Void) {
    for index in endpoint.outbox.runs.indices {
      let run = endpoint.outbox.runs[index]
      var bytes = endpoint.outbox.bytes.extracting(run.range).array
      bytes.withUnsafeMutableBytes { bytes in
        for start in stride(from: 0, to: bytes.count, by: max(1, run.segmentSize)) {
          let end = min(start + run.segmentSize, bytes.count)
          var datagram = MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end]))
          receive(&datagram)
        }
      }
    }
    endpoint.outbox.removeAll()
  }
}
