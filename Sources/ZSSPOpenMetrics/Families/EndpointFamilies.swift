// SPDX-License-Identifier: Apache-2.0
import ZSSP
public import ZSSPNIO

/// The metrics of an endpoint.
public enum EndpointFamilies {
  /// Returns the metrics of an endpoint.
  ///
  /// - Parameters:
  ///   - statistics: The endpoint's counters.
  ///   - labels: Labels of every sample. None by default.
  public static func make(_ statistics: EndpointStatistics, labels: [MetricLabel] = []) -> [MetricFamily] {
    traffic(statistics, labels: labels) + handshakes(statistics, labels: labels) + store(statistics, labels: labels)
      + drops(statistics, labels: labels) + socket(statistics.transport, labels: labels)
  }

  private static func traffic(_ statistics: EndpointStatistics, labels: [MetricLabel]) -> [MetricFamily] {
    let endpoint = statistics.endpoint
    return [
      .counter(
        "zssp_received_datagrams", help: "Datagrams received.", value: endpoint.datagramsReceived, labels: labels),
      .counter("zssp_sent_datagrams", help: "Datagrams sent.", value: endpoint.datagramsSent, labels: labels),
      .counter(
        "zssp_received", unit: .bytes, help: "Bytes of received datagrams, without UDP headers.",
        value: endpoint.bytesReceived,
        labels: labels),
      .counter(
        "zssp_sent", unit: .bytes, help: "Bytes of sent datagrams, without UDP headers.", value: endpoint.bytesSent,
        labels: labels),
      .counter(
        "zssp_received_messages", help: "Messages received in sessions.", value: endpoint.messagesReceived,
        labels: labels),
      .counter("zssp_sent_messages", help: "Messages sent in sessions.", value: endpoint.messagesSent, labels: labels),
      .gauge("zssp_sessions", help: "Sessions in any state.", value: statistics.sessions, labels: labels),
    ]
  }

  private static func handshakes(_ statistics: EndpointStatistics, labels: [MetricLabel]) -> [MetricFamily] {
    let endpoint = statistics.endpoint
    let transport = statistics.transport
    var hellos = MetricFamily(
      "zssp_hellos", kind: .counter, help: "Complete Hellos of peers and strangers, by verdict.")
    for (verdict, count) in [
      ("admitted", endpoint.hellosAdmitted), ("challenged", endpoint.hellosChallenged),
      ("dropped", endpoint.hellosDropped),
    ] {
      hellos.add(.count(count), labels: labels + [MetricLabel("verdict", verdict)])
    }
    var durations = MetricFamily(
      "zssp_handshake_duration", kind: .histogram, unit: .seconds,
      help: "Time from connect or accept to the end of the handshake, by role and outcome.")
    for (name, role) in [("initiator", Role.initiator), ("responder", .responder)] {
      for outcome in HandshakeStatistics.Outcome.allCases {
        durations.addHistogram(
          MetricHistogram(statistics.handshakes[role, outcome]),
          labels: labels + [MetricLabel("role", name), MetricLabel("outcome", outcome.rawValue)])
      }
    }
    return [
      durations, hellos,
      .gauge(
        "zssp_half_open_handshakes", help: "Handshakes that peers have begun.", value: statistics.halfOpenHandshakes,
        labels: labels),
      .counter(
        "zssp_sessions_established", help: "Handshakes of both roles that led to a session.",
        value: endpoint.sessionsEstablished,
        labels: labels),
      .counter(
        "zssp_rekeys", help: "Re-keys of sessions that led to a new key.", value: transport.rekeys, labels: labels),
      .counter(
        "zssp_downgrades", help: "Handshakes that continued without the ratchet.", value: transport.downgrades,
        labels: labels),
      .counter(
        "zssp_moves", help: "Peers that moved to another address during a session.", value: transport.moves,
        labels: labels),
      .counter(
        "zssp_public_key_work", help: "Items of public-key work.", value: endpoint.publicKeyWork, labels: labels),
      .counter(
        "zssp_hello_work", unit: .seconds, help: "Processor time of the public-key work that Hellos caused.",
        value: .number(transport.timeOnHellos.seconds), labels: labels),
    ]
  }

  private static func store(_ statistics: EndpointStatistics, labels: [MetricLabel]) -> [MetricFamily] {
    let transport = statistics.transport
    var durations = MetricFamily(
      "zssp_store_request_duration", kind: .histogram, unit: .seconds,
      help: "Time from a call of the ratchet store to its answer, by operation.")
    for operation in StoreStatistics.Operation.allCases {
      durations.addHistogram(
        MetricHistogram(transport.store[operation]), labels: labels + [MetricLabel("operation", operation.rawValue)])
    }
    var failures = MetricFamily(
      "zssp_store_request_failures", kind: .counter, help: "Requests to the ratchet store that failed, by reason.")
    for (reason, count) in [
      ("failed", transport.store.failed), ("queueFull", transport.storeRequestsRefused),
      ("timedOut", transport.storeRequestsTimedOut),
    ] {
      failures.add(.count(count), labels: labels + [MetricLabel("reason", reason)])
    }
    var queues = MetricFamily("zssp_queue_length", kind: .gauge, help: "Items in a queue of the endpoint.")
    for (queue, length) in [
      ("hellos", statistics.queues.hellos), ("incoming", statistics.queues.incoming),
      ("publicKeyWork", statistics.queues.publicKeyWork), ("storeRequests", statistics.queues.storeRequests),
    ] {
      queues.add(.count(UInt64(clamping: length)), labels: labels + [MetricLabel("queue", queue)])
    }
    return [
      durations, failures, queues,
      .gauge(
        "zssp_send_queue", unit: .bytes, help: "Bytes of messages that wait to be sealed.",
        value: statistics.queues.sendBytes,
        labels: labels),
    ]
  }

  private static func drops(_ statistics: EndpointStatistics, labels: [MetricLabel]) -> [MetricFamily] {
    let transport = statistics.transport
    var ofProtocol = MetricFamily(
      "zssp_protocol_drops", kind: .counter, help: "Datagrams and packets that the protocol dropped, by reason.")
    for reason in DropReason.allCases {
      ofProtocol.add(.count(statistics.endpoint[reason]), labels: labels + [MetricLabel("reason", "\(reason)")])
    }
    var ofTransport = MetricFamily(
      "zssp_transport_drops", kind: .counter,
      help: "Datagrams, messages, handshakes and work that the transport dropped, by reason.")
    for (reason, count) in [
      ("unusableSources", transport.unusableSources), ("handOversDropped", transport.handOversDropped),
      ("incomingRefused", transport.incomingRefused), ("incomingExpired", transport.incomingExpired),
      ("publicKeyWorkRefused", transport.publicKeyWorkRefused), ("messagesDropped", transport.messagesDropped),
      ("messagesUnsent", transport.messagesUnsent), ("unsentDatagrams", transport.unsentDatagrams),
    ] {
      ofTransport.add(.count(count), labels: labels + [MetricLabel("reason", reason)])
    }
    return [ofProtocol, ofTransport]
  }

  private static func socket(_ transport: TransportStatistics, labels: [MetricLabel]) -> [MetricFamily] {
    var offload = MetricFamily(
      "zssp_offload", kind: .gauge, help: "1 if super-datagrams are used (GSO, GRO), otherwise 0, by direction.")
    for (direction, isUsed) in [
      ("send", transport.isUsingSegmentationOffload), ("receive", transport.isUsingReceiveOffload),
    ] {
      offload.add(isUsed ? 1 : 0, labels: labels + [MetricLabel("direction", direction)])
    }
    return [
      .counter(
        "zssp_socket_reads", help: "Datagrams that the socket delivered.", value: transport.reads, labels: labels),
      .counter(
        "zssp_socket_writes", help: "Datagrams that the socket accepted.", value: transport.writes, labels: labels),
      .counter("zssp_socket_errors", help: "Errors of the socket.", value: transport.sendErrors, labels: labels),
      .counter(
        "zssp_sockets_replaced", help: "Sockets that failed and were replaced.", value: transport.socketsReplaced,
        labels: labels),
      offload,
    ]
  }

  /// Returns the drops of the system's queues.
  ///
  /// - Parameters:
  ///   - transport: The counters of the endpoint's transport.
  ///   - more: Counts of other queues by name. None by default.
  ///   - labels: Labels of every sample. None by default.
  public static func systemDrops(
    _ transport: TransportStatistics, more: [(queue: String, count: UInt64)] = [], labels: [MetricLabel] = []
  ) -> MetricFamily {
    var family = MetricFamily(
      "zssp_system_drops", kind: .counter, help: "What the system dropped because it was not read in time, by queue.")
    let counts = [("socket", transport.unreadDatagrams), ("hellos", transport.unreadHellos)]
    for (queue, count) in counts + more.map({ ($0.queue, $0.count) }) {
      family.add(.count(count), labels: labels + [MetricLabel("queue", queue)])
    }
    return family
  }
}

extension MetricFamily {
  /// Makes a counter with one sample.
  package static func counter(
    _ name: String, unit: MetricUnit? = nil, help: String, value: UInt64, labels: [MetricLabel]
  ) -> MetricFamily {
    counter(name, unit: unit, help: help, value: .count(value), labels: labels)
  }

  /// Makes a counter with one sample.
  package static func counter(
    _ name: String, unit: MetricUnit? = nil, help: String, value: MetricValue, labels: [MetricLabel]
  ) -> MetricFamily {
    var family = MetricFamily(name, kind: .counter, unit: unit, help: help)
    family.add(value, labels: labels)
    return family
  }

  /// Makes a gauge with one sample. A negative value counts as zero.
  package static func gauge(
    _ name: String, unit: MetricUnit? = nil, help: String, value: Int, labels: [MetricLabel]
  ) -> MetricFamily {
    var family = MetricFamily(name, kind: .gauge, unit: unit, help: help)
    family.add(.count(UInt64(clamping: value)), labels: labels)
    return family
  }
}

extension MetricHistogram {
  /// A histogram of durations, in seconds.
  package init(_ histogram: LatencyHistogram) {
    self.init(bounds: LatencyHistogram.bounds.map(\.seconds), counts: histogram.counts, sum: histogram.sum.seconds)
  }
}

extension Duration {
  /// The duration in seconds.
  package var seconds: Double {
    let (seconds, attoseconds) = components
    return Double(seconds) + Double(attoseconds) * 1e-18
  }
}
