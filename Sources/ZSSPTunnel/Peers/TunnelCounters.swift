// SPDX-License-Identifier: Apache-2.0
import Synchronization
import ZSSP

/// Why a packet of the tunnel did not go on.
public enum TunnelDropReason: String, Sendable, CaseIterable {
  /// What the system gave is no IP packet, or not what its header says.
  case malformed
  /// No peer has its destination.
  case noPeer
  /// It comes from a peer, and from an address that is not the peer's.
  case foreignSource
  /// The peer cannot be asked for a session, for nobody knows where it is.
  case noEndpoint
  /// It waited for a session, and others came after it.
  case queueFull
  /// The device has more than we can send, for longer than a burst.
  case queueStands
  /// It is larger than what the peer takes.
  case tooBig
  /// The session ended under it, or takes no more.
  case unsent
  /// The system did not take what came from a peer.
  case deviceFull
  /// The network is congested, and the packet's sender knows no other sign of that (RFC 6040).
  case congested
}

/// What is counted on several event loops. Nothing is ordered by it.
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

/// What a peer's traffic leaves behind, for any thread.
final class PeerGauges: Sendable {
  let packetsSent = Atomic<UInt64>(0)
  let bytesSent = Atomic<UInt64>(0)
  let packetsReceived = Atomic<UInt64>(0)
  let bytesReceived = Atomic<UInt64>(0)
  /// The largest packet that fits into one datagram on the path to the peer; 0 while that is not known to be less than others take.
  let pathLimit = Atomic<Int>(0)
  /// Probes of the path whose answers are waited for.
  private let probes = Atomic<Int>(0)
  /// Nanoseconds of the tunnel's clock; 0 for never.
  private let received = Atomic<Int64>(0)
  /// Nanoseconds; 0 for never.
  private let measured = Atomic<Int64>(0)

  /// When something came last; nil for never.
  var lastReceived: Instant? {
    let nanoseconds = received.load(ordering: .relaxed)
    return nanoseconds == 0 ? nil : Instant(nanoseconds: nanoseconds)
  }

  /// How long the last probe and its answer took; nil for never.
  var roundTrip: Duration? {
    let nanoseconds = measured.load(ordering: .relaxed)
    return nanoseconds == 0 ? nil : .nanoseconds(nanoseconds)
  }

  /// Records that something came.
  func recordReceived(at now: Instant) { received.store(now.nanoseconds, ordering: .relaxed) }

  /// Records how many probes of the path are waited for.
  func probed(_ count: Int) { probes.store(count, ordering: .relaxed) }

  /// Returns whether an answer to a probe may be one: there are not more of them than probes.
  func expectsProbeAnswer() -> Bool {
    guard probes.load(ordering: .relaxed) > 0 else { return false }
    return probes.subtract(1, ordering: .relaxed).oldValue > 0
  }

  /// Records the answer to a probe, and how long it took if that is known.
  func recordAnswer(after roundTrip: Duration?, at now: Instant) {
    recordReceived(at: now)
    if let roundTrip, roundTrip > .zero { measured.store(roundTrip.nanoseconds, ordering: .relaxed) }
  }
}
