// SPDX-License-Identifier: Apache-2.0
public import CoreMetrics
import ZSSP
public import ZSSPNIO

/// Reports an endpoint's counters, gauges and handshake times through swift-metrics.
///
/// ```swift
/// func report(_ endpoint: UDPEndpoint) async {
///   await withDiscardingTaskGroup { group in
///     group.addTask { await EndpointMetrics(of: endpoint).run(every: .seconds(10)) }
///     group.addTask { for await downgrade in endpoint.downgrades { print(downgrade.peer) } }
///   }
/// }
/// ```
///
/// A program needs a backend of swift-metrics, which it passes to `MetricsSystem.bootstrap(_:)`
/// once at its start, before it makes a reporter.
///
/// Counters are read at intervals instead of being counted again, so that packets take no longer.
/// ``names`` lists what is reported. Each endpoint should have one reporter. If a process has
/// several endpoints, use the dimensions of ``init(of:prefix:dimensions:factory:)`` to distinguish
/// them.
///
/// | kind | name | meaning |
/// |---|---|---|
/// | counter | `zssp_datagrams_received`, `zssp_datagrams_sent` | datagrams |
/// | counter | `zssp_bytes_received`, `zssp_bytes_sent` | bytes of datagrams, without UDP headers |
/// | counter | `zssp_messages_received`, `zssp_messages_sent` | messages of sessions |
/// | counter | `zssp_sessions_established` | handshakes that led to a session |
/// | counter | `zssp_drops`, with the dimension `reason` | dropped datagrams and packets |
/// | counter | `zssp_public_key_work`, `zssp_public_key_work_refused` | items of public-key work |
/// | counter | `zssp_hello_work_microseconds` | processor time of Hellos' public-key work |
/// | counter | `zssp_hellos_admitted`, `zssp_hellos_challenged`, `zssp_hellos_dropped` | complete Hellos |
/// | counter | `zssp_rekeys` | re-keys that led to a new key |
/// | counter | `zssp_moves` | peers that moved to another address during a session |
/// | counter | `zssp_store_requests_failed` | requests that the ratchet store could not execute |
/// | counter | `zssp_downgrades` | handshakes that continued without the ratchet |
/// | counter | `zssp_incoming_refused` | handshakes of peers, refused because too many waited |
/// | counter | `zssp_incoming_expired` | handshakes of peers that expired before a decision |
/// | counter | `zssp_incoming_unread` | expired handshakes that were never delivered |
/// | counter | `zssp_messages_dropped` | messages whose reader was slow |
/// | counter | `zssp_messages_unsent` | messages whose session had ended |
/// | counter | `zssp_store_requests_refused` | refused requests to the ratchet store |
/// | counter | `zssp_store_requests_timed_out` | store requests without an answer in time |
/// | counter | `zssp_reads`, `zssp_read_bursts`, `zssp_writes` | see `TransportStatistics` |
/// | counter | `zssp_super_datagrams_received`, `zssp_super_datagrams_sent` | see `TransportStatistics` |
/// | counter | `zssp_send_errors` | see `TransportStatistics` |
/// | counter | `zssp_unsent_datagrams`, `zssp_unread_datagrams` | see `TransportStatistics` |
/// | counter | `zssp_unread_hellos`, `zssp_unusable_sources` | see `TransportStatistics` |
/// | counter | `zssp_sockets_replaced` | see `TransportStatistics` |
/// | counter | `zssp_handed_over`, `zssp_hand_overs_dropped` | see `TransportStatistics` |
/// | gauge | `zssp_sessions`, `zssp_half_open_handshakes` | the current number |
/// | timer | `zssp_handshake`, with `role` and `outcome` | from `connect` or `accept` to its end |
/// | timer | `zssp_round_trip` | from a probe of a peer to its answer; see `UDPOptions.keepAlive` |
///
/// The dimension `reason` is a case of `DropReason`. `role` is `initiator` or `responder`, and
/// `outcome` is `established` or `failed`.
public final class EndpointMetrics: Sendable {
  /// The reported names, without the prefix.
  public static let names: [String] =
    counters.map(\.name) + ["drops", "sessions", "half_open_handshakes", "handshake", "round_trip"]

  private static let counters: [(name: String, value: @Sendable (EndpointStatistics) -> UInt64)] = [
    ("datagrams_received", { $0.endpoint.datagramsReceived }),
    ("bytes_received", { $0.endpoint.bytesReceived }),
    ("datagrams_sent", { $0.endpoint.datagramsSent }),
    ("bytes_sent", { $0.endpoint.bytesSent }),
    ("messages_received", { $0.endpoint.messagesReceived }),
    ("messages_sent", { $0.endpoint.messagesSent }),
    ("sessions_established", { $0.endpoint.sessionsEstablished }),
    ("public_key_work", { $0.endpoint.publicKeyWork }),
    ("public_key_work_refused", { $0.transport.publicKeyWorkRefused }),
    ("hello_work_microseconds", { UInt64(max(0, $0.transport.timeOnHellos / .microseconds(1))) }),
    ("hellos_admitted", { $0.endpoint.hellosAdmitted }),
    ("hellos_challenged", { $0.endpoint.hellosChallenged }),
    ("hellos_dropped", { $0.endpoint.hellosDropped }),
    ("rekeys", { $0.transport.rekeys }),
    ("moves", { $0.transport.moves }),
    ("store_requests_failed", { $0.transport.store.failed }),
    ("downgrades", { $0.transport.downgrades }),
    ("incoming_refused", { $0.transport.incomingRefused }),
    ("incoming_expired", { $0.transport.incomingExpired }),
    ("incoming_unread", { $0.transport.incomingUnread }),
    ("messages_dropped", { $0.transport.messagesDropped }),
    ("messages_unsent", { $0.transport.messagesUnsent }),
    ("store_requests_refused", { $0.transport.storeRequestsRefused }),
    ("store_requests_timed_out", { $0.transport.storeRequestsTimedOut }),
    ("reads", { $0.transport.reads }),
    ("read_bursts", { $0.transport.readBursts }),
    ("super_datagrams_received", { $0.transport.superDatagramsReceived }),
    ("super_datagrams_sent", { $0.transport.superDatagramsSent }),
    ("writes", { $0.transport.writes }),
    ("send_errors", { $0.transport.sendErrors }),
    ("unsent_datagrams", { $0.transport.unsentDatagrams }),
    ("unread_datagrams", { $0.transport.unreadDatagrams }),
    ("unread_hellos", { $0.transport.unreadHellos }),
    ("unusable_sources", { $0.transport.unusableSources }),
    ("sockets_replaced", { $0.transport.socketsReplaced }),
    ("handed_over", { $0.transport.handedOver }),
    ("hand_overs_dropped", { $0.transport.handOversDropped }),
  ]

  private let endpoint: UDPEndpoint
  private let reports: Reports
  private let handshakeObserver: UInt64
  private let roundTripObserver: UInt64

  /// Makes a reporter for an endpoint. From now on the endpoint's handshakes and probes are timed.
  ///
  /// - Parameters:
  ///   - endpoint: The endpoint.
  ///   - prefix: The prefix of each name, followed by an underscore. The default is `zssp`.
  ///   - dimensions: Dimensions that are added to every metric. None by default.
  ///   - factory: The receiver of the metrics. The default is the one that the process was
  ///     bootstrapped with.
  public init(
    of endpoint: UDPEndpoint, prefix: String = "zssp", dimensions: [(String, String)] = [],
    factory: any MetricsFactory = MetricsSystem.factory
  ) {
    self.endpoint = endpoint
    func dimensioned(_ more: (String, String)...) -> [(String, String)] { dimensions + more }
    let counters = Self.counters.map {
      (Counter(label: "\(prefix)_\($0.name)", dimensions: dimensions, factory: factory), $0.value)
    }
    let drops = DropReason.allCases.map { reason in
      (Counter(label: "\(prefix)_drops", dimensions: dimensioned(("reason", "\(reason)")), factory: factory), reason)
    }
    reports = Reports(
      counters: counters, drops: drops,
      sessions: Gauge(label: "\(prefix)_sessions", dimensions: dimensions, factory: factory),
      halfOpen: Gauge(label: "\(prefix)_half_open_handshakes", dimensions: dimensions, factory: factory))
    func timer(role: String, outcome: String) -> Timer {
      Timer(
        label: "\(prefix)_handshake", dimensions: dimensioned(("role", role), ("outcome", outcome)), factory: factory)
    }
    let timers = [
      timer(role: "initiator", outcome: "failed"), timer(role: "initiator", outcome: "established"),
      timer(role: "responder", outcome: "failed"),
      timer(role: "responder", outcome: "established"),
    ]
    let roundTrip = Timer(label: "\(prefix)_round_trip", dimensions: dimensions, factory: factory)
    roundTripObserver = endpoint.roundTrips.set { roundTrip.recordNanoseconds(Int64($0 / .nanoseconds(1))) }
    handshakeObserver = endpoint.handshakes.set { record in
      let timer = timers[(record.role == .responder ? 2 : 0) + (record.isEstablished ? 1 : 0)]
      timer.recordNanoseconds(Int64(record.duration / .nanoseconds(1)))
    }
  }

  deinit {
    endpoint.handshakes.remove(handshakeObserver)
    endpoint.roundTrips.remove(roundTripObserver)
  }

  /// Reports the changes since the last report.
  public func report() async { await reports.report(await endpoint.statistics()) }

  /// Reports at intervals until the task is cancelled, and then once more.
  ///
  /// - Parameters:
  ///   - interval: The pause between reports, at least 10 ms. The default is 10 s.
  ///   - clock: The clock for the pauses.
  public func run(every interval: Duration = .seconds(10), clock: some Clock<Duration> = ContinuousClock()) async {
    do {
      while true {
        await report()
        try await clock.sleep(for: max(interval, .milliseconds(10)))
      }
    } catch {
      // The last report covers the time before the cancellation.
      await report()
    }
  }

  /// The metrics, and the last reported values.
  private actor Reports {
    private let counters: [(counter: Counter, value: @Sendable (EndpointStatistics) -> UInt64)]
    private let sessions: Gauge
    private let halfOpen: Gauge
    private var reported: [UInt64]

    init(
      counters: [(Counter, @Sendable (EndpointStatistics) -> UInt64)], drops: [(Counter, DropReason)],
      sessions: Gauge, halfOpen: Gauge
    ) {
      let ofDrops: [(Counter, @Sendable (EndpointStatistics) -> UInt64)] = drops.map { counter, reason in
        (counter, { $0.endpoint[reason] })
      }
      self.counters = (counters + ofDrops).map { (counter: $0.0, value: $0.1) }
      self.sessions = sessions
      self.halfOpen = halfOpen
      reported = [UInt64](repeating: 0, count: self.counters.count)
    }

    func report(_ now: EndpointStatistics) {
      for (index, (counter, value)) in counters.enumerated() {
        let value = value(now)
        // Older statistics may arrive later than newer ones.
        guard value > reported[index] else { continue }
        counter.increment(by: Int64(clamping: value - reported[index]))
        reported[index] = value
      }
      sessions.record(now.sessions)
      halfOpen.record(now.halfOpenHandshakes)
    }
  }
}
