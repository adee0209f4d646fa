// SPDX-License-Identifier: Apache-2.0

/// The metrics of peers. Their number is bounded: peers beyond ``limit`` share one row.
public struct PeerFamilies: Sendable {
  /// The maximum number of peers with rows of their own. The default is 250.
  public var limit = 250
  /// The label of the row of all other peers.
  public static let othersLabel = "(other peers)"

  private let states: [String]
  private let reasons: [String]
  private let labels: [MetricLabel]

  /// Makes a description of the metrics of peers.
  ///
  /// - Parameters:
  ///   - states: The states of a peer.
  ///   - dropReasons: The reasons of drops that are counted for each peer. None by default.
  ///   - labels: Labels of every sample. None by default.
  public init(states: [String], dropReasons: [String] = [], labels: [MetricLabel] = []) {
    self.states = states
    reasons = dropReasons
    self.labels = labels
  }

  /// Returns the metrics of peers.
  ///
  /// The first ``limit`` peers have rows of their own. The others share one: the sums of their
  /// counters, without what cannot be added.
  ///
  /// - Parameter peers: The peers, always in the same order.
  public func make(_ peers: [PeerSample]) -> [MetricFamily] {
    let shown = Array(peers.prefix(max(0, limit)))
    let others = peers.dropFirst(shown.count)
    var rows = zip(shown, Self.distinctLabels(shown)).map { Row(peer: $0, label: $1, isSum: false) }
    if let sum = Self.sum(others) { rows.append(Row(peer: sum, label: Self.othersLabel, isSum: true)) }
    return counts(of: peers, aggregated: others.count) + traffic(rows) + path(rows) + sessions(rows)
  }

  private struct Row {
    let peer: PeerSample
    let label: String
    /// True for the row of several peers.
    let isSum: Bool
  }

  /// Returns a label for each peer that no other has.
  static func distinctLabels(_ peers: [PeerSample]) -> [String] {
    var counts: [String: Int] = [othersLabel: 1]
    for peer in peers { counts[peer.label, default: 0] += 1 }
    var taken = Set(counts.keys)
    return peers.map { peer in
      guard counts[peer.label] != 1 else { return peer.label }
      var label = "\(peer.label) \(peer.publicKey)"
      // Another peer may have such a name.
      while !taken.insert(label).inserted { label += "'" }
      return label
    }
  }

  private static func sum(_ peers: ArraySlice<PeerSample>) -> PeerSample? {
    guard !peers.isEmpty else { return nil }
    var sum = PeerSample(label: othersLabel, publicKey: "", state: "")
    for peer in peers {
      sum.packetsSent &+= peer.packetsSent
      sum.bytesSent &+= peer.bytesSent
      sum.packetsReceived &+= peer.packetsReceived
      sum.bytesReceived &+= peer.bytesReceived
      sum.sessions &+= peer.sessions
      sum.rekeys &+= peer.rekeys
      sum.moves &+= peer.moves
      sum.failedAttempts &+= peer.failedAttempts
      sum.waiting += peer.waiting
      sum.drops.merge(peer.drops) { $0 &+ $1 }
    }
    return sum
  }

  private func counts(of peers: [PeerSample], aggregated: Int) -> [MetricFamily] {
    var family = MetricFamily("zssp_peers", kind: .gauge, help: "Peers by state.")
    for state in states {
      family.add(
        .count(UInt64(peers.count { $0.state == state })), labels: labels + [MetricLabel("state", state)])
    }
    return [
      family,
      .gauge(
        "zssp_peers_aggregated", help: "Peers without a row of their own, in the row of other peers.",
        value: aggregated, labels: labels),
    ]
  }

  private func labels(of row: Row) -> [MetricLabel] { labels + [MetricLabel("peer", row.label)] }

  /// Returns a metric with a sample for each row that has a value.
  private func family(
    _ name: String, kind: MetricFamily.Kind, unit: MetricUnit? = nil, help: String, rows: [Row],
    value: (Row) -> MetricValue?
  ) -> MetricFamily {
    var family = MetricFamily(name, kind: kind, unit: unit, help: help)
    for row in rows {
      if let value = value(row) { family.add(value, labels: labels(of: row)) }
    }
    return family
  }

  private func traffic(_ rows: [Row]) -> [MetricFamily] {
    var drops = MetricFamily("zssp_peer_drops", kind: .counter, help: "Dropped packets to or from a peer, by reason.")
    for row in rows {
      for reason in reasons {
        drops.add(.count(row.peer.drops[reason] ?? 0), labels: labels(of: row) + [MetricLabel("reason", reason)])
      }
    }
    return [
      family("zssp_peer_sent", kind: .counter, unit: .bytes, help: "Bytes of packets to the peer.", rows: rows) {
        .count($0.peer.bytesSent)
      },
      family("zssp_peer_received", kind: .counter, unit: .bytes, help: "Bytes of packets from the peer.", rows: rows) {
        .count($0.peer.bytesReceived)
      },
      family("zssp_peer_sent_packets", kind: .counter, help: "Packets to the peer.", rows: rows) {
        .count($0.peer.packetsSent)
      },
      family("zssp_peer_received_packets", kind: .counter, help: "Packets from the peer.", rows: rows) {
        .count($0.peer.packetsReceived)
      },
      family("zssp_peer_waiting_packets", kind: .gauge, help: "Packets that wait for a session.", rows: rows) {
        .count(UInt64(clamping: $0.peer.waiting))
      },
      drops,
    ]
  }

  private func path(_ rows: [Row]) -> [MetricFamily] {
    [
      family(
        "zssp_peer_round_trip", kind: .gauge, unit: .seconds,
        help: "The last measured round trip of a probe to the peer.",
        rows: rows
      ) { $0.isSum ? nil : $0.peer.roundTrip.map { .number($0) } },
      family(
        "zssp_peer_path_mtu", kind: .gauge, unit: .bytes,
        help: "The largest IP packet that is known to pass the path to the peer.", rows: rows
      ) { $0.isSum ? nil : $0.peer.pathMTU.map { .count(UInt64(clamping: $0)) } },
      family(
        "zssp_peer_last_received_age", kind: .gauge, unit: .seconds,
        help: "Time since the last authentic packet of the peer.",
        rows: rows
      ) { $0.isSum ? nil : $0.peer.receivedAge.map { .number($0) } },
      family("zssp_peer_moves", kind: .counter, help: "Moves of the peer to another address.", rows: rows) {
        .count($0.peer.moves)
      },
    ]
  }

  private func sessions(_ rows: [Row]) -> [MetricFamily] {
    var state = MetricFamily(
      "zssp_peer_state", kind: .gauge, help: "1 for the current state of the peer, 0 for the others.")
    var info = MetricFamily("zssp_peer", kind: .info, help: "The public key of the peer.")
    for row in rows where !row.isSum {
      info.add(.count(1), labels: labels(of: row) + [MetricLabel("public_key", row.peer.publicKey)])
      for name in states {
        state.add(
          row.peer.state == name ? 1 : 0, labels: labels(of: row) + [MetricLabel("state", name)])
      }
    }
    return [
      info, state,
      family(
        "zssp_peer_last_handshake_age", kind: .gauge, unit: .seconds, help: "Time since the last handshake or re-key.",
        rows: rows
      ) { $0.isSum ? nil : $0.peer.handshakeAge.map { .number($0) } },
      family("zssp_peer_ratchet_length", kind: .gauge, help: "Handshakes in the peer's ratchet chain.", rows: rows) {
        $0.isSum ? nil : .count($0.peer.ratchetLength)
      },
      family("zssp_peer_sessions", kind: .counter, help: "Sessions with the peer.", rows: rows) {
        .count($0.peer.sessions)
      },
      family("zssp_peer_rekeys", kind: .counter, help: "Re-keys of sessions with the peer.", rows: rows) {
        .count($0.peer.rekeys)
      },
      family("zssp_peer_failed_attempts", kind: .counter, help: "Attempts to open a session that failed.", rows: rows) {
        .count($0.peer.failedAttempts)
      },
    ]
  }
}
