// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP
import ZSSPNIO
import ZSSPTestSupport

@testable import ZSSPOpenMetrics

/// The metrics of peers and endpoints.
@Suite(.tags(.fast))
struct FamilyTests {
  private let families = PeerFamilies(
    states: ["up", "idle"], dropReasons: ["tooBig", "unsent"], labels: [MetricLabel("interface", "t0")])

  private func parsed(_ families: [MetricFamily], as format: MetricsFormat = .openMetrics) throws -> ParsedExposition {
    try ParsedExposition(Exposition.text(of: families, as: format), as: format)
  }

  private func peer(_ number: Int, label: String? = nil) -> PeerSample {
    var peer = PeerSample(
      label: label ?? "p\(number)", publicKey: "key\(number)", state: number % 2 == 0 ? "up" : "idle")
    peer.bytesSent = UInt64(number)
    peer.drops = ["tooBig": 2, "unknown": 9]
    peer.roundTrip = 0.5
    return peer
  }

  @Test(arguments: MetricsFormat.allCases) func onePeer(format: MetricsFormat) throws {
    let parsed = try parsed(families.make([peer(4, label: "bob \"\\\n")]), as: format)
    let labels = ["interface": "t0", "peer": "bob \"\\\n"]
    #expect(parsed.value("zssp_peer_sent_bytes_total", labels) == "4")
    #expect(parsed.value("zssp_peer_round_trip_seconds", labels) == "0.5")
    #expect(parsed.value("zssp_peer_drops_total", labels.merging(["reason": "tooBig"]) { $1 }) == "2")
    #expect(parsed.value("zssp_peer_drops_total", labels.merging(["reason": "unsent"]) { $1 }) == "0")
    #expect(parsed.value("zssp_peer_state", labels.merging(["state": "up"]) { $1 }) == "1")
    #expect(parsed.value("zssp_peer_state", labels.merging(["state": "idle"]) { $1 }) == "0")
    #expect(parsed.value("zssp_peer_info", labels.merging(["public_key": "key4"]) { $1 }) == "1")
    // What is not known is not there.
    #expect(parsed.value("zssp_peer_path_mtu_bytes", labels) == nil)
    #expect(parsed.value("zssp_peers", ["interface": "t0", "state": "up"]) == "1")
    #expect(parsed.value("zssp_peers_aggregated", ["interface": "t0"]) == "0")
  }

  @Test func withoutPeers() throws {
    let parsed = try parsed(families.make([]))
    #expect(parsed.value("zssp_peers", ["interface": "t0", "state": "idle"]) == "0")
    #expect(parsed.families.keys.sorted() == ["zssp_peers", "zssp_peers_aggregated"])
  }

  /// Names that are given twice, that look like a key, or like the row of others, still make rows
  /// of their own.
  @Test func namesAreToldApart() throws {
    let names = ["a", "a", "b", PeerFamilies.othersLabel, "a key1", "c"]
    let peers = names.enumerated().map { peer($0.offset, label: $0.element) }
    let labels = PeerFamilies.distinctLabels(peers)
    #expect(Set(labels + [PeerFamilies.othersLabel]).count == names.count + 1)
    #expect(labels[0] == "a key0" && labels[2] == "b" && labels[4] == "a key1")
    #expect(labels[3] == "\(PeerFamilies.othersLabel) key3")
    var limited = families
    limited.limit = 4
    _ = try parsed(limited.make(peers))
  }

  /// However many peers there are, the number of rows is bounded, and the last one says what it is.
  @Test(arguments: [0, 1, 250, 251, 1000]) func rowsAreBounded(count: Int) throws {
    let parsed = try parsed(families.make((0..<count).map { peer($0) }))
    let rows = parsed.families["zssp_peer_sent_bytes"]?.samples ?? []
    #expect(rows.count == min(count, 251))
    #expect(rows.reduce(0) { $0 + (Int($1.value) ?? 0) } == count * (count - 1) / 2)
    let others = max(0, count - 250)
    #expect(parsed.value("zssp_peers_aggregated", ["interface": "t0"]) == "\(others)")
    let states = parsed.families["zssp_peers"]?.samples ?? []
    #expect(states.reduce(0) { $0 + (Int($1.value) ?? 0) } == count)
    guard others > 0 else { return }
    let last = ["interface": "t0", "peer": PeerFamilies.othersLabel]
    #expect(parsed.value("zssp_peer_drops_total", last.merging(["reason": "tooBig"]) { $1 }) == "\(2 * others)")
    // What cannot be added is left out.
    #expect(parsed.value("zssp_peer_round_trip_seconds", last) == nil)
    #expect(parsed.value("zssp_peer_state", last.merging(["state": "up"]) { $1 }) == nil)
  }

  @Test func bucketsOfDurations() {
    var histogram = LatencyHistogram()
    #expect(histogram.count == 0 && LatencyHistogram.bounds == LatencyHistogram.bounds.sorted())
    for (index, bound) in LatencyHistogram.bounds.enumerated() {
      histogram.record(bound)
      #expect(histogram.counts[index] == 1)
    }
    histogram.record(.seconds(31))
    histogram.record(.seconds(-1))
    #expect(histogram.counts[0] == 2 && histogram.counts.last == 1)
    #expect(histogram.count == UInt64(LatencyHistogram.bounds.count + 2))
    let metric = MetricHistogram(histogram)
    #expect(metric.bounds.first == 0.0001 && metric.bounds.last == 30 && metric.counts == histogram.counts)
    #expect(metric.sum > 80 && metric.sum < 81)
  }
}
