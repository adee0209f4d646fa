// SPDX-License-Identifier: Apache-2.0
import Synchronization
import ZSSP

/// The reason why the tunnel dropped a packet.
public enum TunnelDropReason: String, Sendable, CaseIterable {
  /// The packet is no IP packet, or does not match its header.
  case malformed
  /// No peer owns its destination.
  case noPeer
  /// The packet came from a peer, but from an address that the peer does not own.
  case foreignSource
  /// The peer has no session, and no known address to open one.
  case noEndpoint
  /// The packet waited for a session, and was displaced by later packets.
  case queueFull
  /// The device received more than can be sent, for longer than a burst.
  case queueStands
  /// The packet is larger than the peer accepts.
  case tooBig
  /// The session ended, or took no more.
  case unsent
  /// The system did not take a packet from a peer.
  case deviceFull
  /// The network is congested, and the packet's sender knows no other sign of that (RFC 6040).
  case congested

  /// The reasons that concern one peer's packets.
  static let ofPeers: [TunnelDropReason] = [
    .malformed, .foreignSource, .noEndpoint, .queueFull, .tooBig, .unsent, .congested,
  ]
}

/// Counters for several event loops. They imply no memory ordering.
final class DropCounters: Sendable {
  private let malformed = Atomic<UInt64>(0), noPeer = Atomic<UInt64>(0), foreignSource = Atomic<UInt64>(0)
  private let noEndpoint = Atomic<UInt64>(0), queueFull = Atomic<UInt64>(0), tooBig = Atomic<UInt64>(0)
  private let unsent = Atomic<UInt64>(0), queueStands = Atomic<UInt64>(0), deviceFull = Atomic<UInt64>(0)
  private let congested = Atomic<UInt64>(0)

  func count(_ reason: TunnelDropReason, _ number: Int = 1) {
    let number = UInt64(number)
    switch reason {
    case .malformed: malformed.add(number, ordering: .relaxed)
    case .noPeer: noPeer.add(number, ordering: .relaxed)
    case .foreignSource: foreignSource.add(number, ordering: .relaxed)
    case .noEndpoint: noEndpoint.add(number, ordering: .relaxed)
    case .queueFull: queueFull.add(number, ordering: .relaxed)
    case .tooBig: tooBig.add(number, ordering: .relaxed)
    case .queueStands: queueStands.add(number, ordering: .relaxed)
    case .unsent: unsent.add(number, ordering: .relaxed)
    case .deviceFull: deviceFull.add(number, ordering: .relaxed)
    case .congested: congested.add(number, ordering: .relaxed)
    }
  }

  /// Counts dropped packets, and counts them for their peer, too.
  func count(_ reason: TunnelDropReason, _ number: Int = 1, of peer: PeerGauges) {
    count(reason, number)
    peer.drops.count(reason, number)
  }

  func value(_ reason: TunnelDropReason) -> UInt64 {
    switch reason {
    case .malformed: malformed.load(ordering: .relaxed)
    case .noPeer: noPeer.load(ordering: .relaxed)
    case .foreignSource: foreignSource.load(ordering: .relaxed)
    case .noEndpoint: noEndpoint.load(ordering: .relaxed)
    case .queueFull: queueFull.load(ordering: .relaxed)
    case .tooBig: tooBig.load(ordering: .relaxed)
    case .queueStands: queueStands.load(ordering: .relaxed)
    case .unsent: unsent.load(ordering: .relaxed)
    case .deviceFull: deviceFull.load(ordering: .relaxed)
    case .congested: congested.load(ordering: .relaxed)
    }
  }
}

/// Counters of a peer's traffic, for any thread.
final class PeerGauges: Sendable {
  let packetsSent = Atomic<UInt64>(0)
  let bytesSent = Atomic<UInt64>(0)
  let packetsReceived = Atomic<UInt64>(0)
  let bytesReceived = Atomic<UInt64>(0)
  /// Dropped packets of the peer. Only reasons in ``TunnelDropReason/ofPeers`` are counted.
  let drops = DropCounters()
  /// The size in bytes of the largest packet that fits into one datagram on the path to the peer; 0
  /// while no such limit is known.
  let pathLimit = Atomic<Int>(0)
  /// The number of unanswered path probes.
  private let probes = Atomic<Int>(0)
  /// The time of the last received message in nanoseconds of the tunnel's clock; 0 for never.
  private let received = Atomic<Int64>(0)
  /// The last round-trip time in nanoseconds; 0 for never.
  private let measured = Atomic<Int64>(0)

  /// The time when something was last received; nil for never.
  var lastReceived: Instant? {
    let nanoseconds = received.load(ordering: .relaxed)
    return nanoseconds == 0 ? nil : Instant(nanoseconds: nanoseconds)
  }

  /// The last round-trip time of a probe; nil for never.
  var roundTrip: Duration? {
    let nanoseconds = measured.load(ordering: .relaxed)
    return nanoseconds == 0 ? nil : .nanoseconds(nanoseconds)
  }

  /// Records that something was received.
  func recordReceived(at now: Instant) { received.store(now.nanoseconds, ordering: .relaxed) }

  /// Records the number of unanswered path probes.
  func probed(_ count: Int) { probes.store(count, ordering: .relaxed) }

  /// Returns true if an answer to a probe is expected. At most one answer counts for each probe.
  func expectsProbeAnswer() -> Bool {
    guard probes.load(ordering: .relaxed) > 0 else { return false }
    return probes.subtract(1, ordering: .relaxed).oldValue > 0
  }

  /// Records the answer to a probe, and its round-trip time if known.
  func recordAnswer(after roundTrip: Duration?, at now: Instant) {
    recordReceived(at: now)
    if let roundTrip, roundTrip > .zero { measured.store(roundTrip.nanoseconds, ordering: .relaxed) }
  }
}
