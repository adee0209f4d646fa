// SPDX-License-Identifier: Apache-2.0
import Synchronization
import ZSSP

/// Writes the lines of a trace: the records of endpoints, the fate of datagrams, and faults.
///
/// Datagrams of data are left out.
final class SimulationTracer: TraceSink {
  private let output: @Sendable (String) -> Void
  private let last = Atomic(0)

  init(_ output: @escaping @Sendable (String) -> Void) { self.output = output }

  /// The endpoints' drivers are the simulation, which writes the records itself.
  func write(_ records: [TraceRecord], of shard: Int) {}

  /// Returns a number for a datagram.
  func next() -> Int { last.add(1, ordering: .relaxed).newValue }

  func write(_ record: TraceRecord, peer: Int, node: Int, of nodes: Bool, at now: Instant) {
    // The clocks of peers differ, so the time is that of the simulation.
    output(record.line(nodes ? "\(peer).\(node)" : "\(peer)", at: .nanoseconds(now.nanoseconds)))
  }

  /// Writes the fate of a datagram.
  func write(_ parcel: Parcel, fate: String, from: Int? = nil, to: Int? = nil, at now: Instant) {
    guard parcel.label?.type != .data else { return }
    var line = TraceLine()
    line.add("t", .nanoseconds(now.nanoseconds))
    line.add("ev", "datagram")
    line.add("id", parcel.number)
    line.add("fate", fate)
    if let from { line.add("src", "\(from)") }
    if let to { line.add("dst", "\(to)") }
    if let label = parcel.label {
      line.add("kind", label.type.name)
      line.add("section", label.type.section)
      if label.count > 1 { line.add("fragment", "\(label.number + 1)/\(label.count)") }
    }
    if parcel.isForged { line.add("forged", true) }
    line.add("size", parcel.bytes.count)
    output(line.text)
  }

  /// Writes what the plan does to peers and to the network.
  func write(_ code: Trace.Code, peer: Int, text: String, at now: Instant) {
    var line = TraceLine()
    line.add("t", .nanoseconds(now.nanoseconds))
    if peer >= 0 { line.add("at", "\(peer)") }
    switch code {
    case .crash, .restart, .storeLost, .rebind, .leap, .partition, .heal, .storeFailed, .answerLost, .workRefused:
      line.add("ev", "fault")
      line.add("fault", "\(code)")
    case .calm, .turbulence, .recovered, .campaign:
      line.add("ev", "phase")
      line.add("phase", "\(code)")
    // In the records of endpoints, or data.
    case .send, .deliver, .drop, .message, .lost, .duplicated, .corrupted, .wake, .store, .storeAnswer, .work, .accept,
      .reject, .open, .close, .rekey, .payload, .event, .attack, .held, .released, .cancelled, .limit:
      return
    }
    if !text.isEmpty { line.add("details", text) }
    output(line.text)
  }

  func writeViolation(_ invariant: Violation.Invariant, details: String, at now: Instant) {
    var line = TraceLine()
    line.add("t", .nanoseconds(now.nanoseconds))
    line.add("ev", "violation")
    line.add("invariant", invariant.rawValue)
    line.add("details", details)
    output(line.text)
  }
}

extension Simulation {
  /// Writes the records of a peer's endpoints.
  func writeTrace(of peer: SimulatedPeer) {
    guard let tracer else { return }
    let isCluster = peer.endpoint is ClusterEndpoint
    for (node, record) in peer.endpoint.takeTrace() {
      tracer.write(record, peer: peer.index, node: node, of: isCluster, at: now)
    }
  }
}
