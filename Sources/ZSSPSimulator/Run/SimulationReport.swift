// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The numbers of a run.
public struct SimulationReport: Sendable, Hashable, Codable {
  /// The seed.
  public var seed: UInt64 = 0
  /// Virtual time in seconds.
  public var virtualSeconds: Double = 0
  /// Executed events: deliveries, timers, answers, faults.
  public var steps: UInt64 = 0
  /// A hash of all events in order. Equal seeds and plans give equal hashes.
  public var traceHash: UInt64 = 0
  /// Datagrams that endpoints sent.
  public var datagramsSent: UInt64 = 0
  /// Datagrams that endpoints received, including those of attackers.
  public var datagramsReceived: UInt64 = 0
  /// Datagrams that the network lost, including those in partitions.
  public var datagramsLost: UInt64 = 0
  /// Datagrams that the network delivered twice.
  public var datagramsDuplicated: UInt64 = 0
  /// Datagrams of attackers.
  public var attacks: UInt64 = 0
  /// Campaigns of the adversary against a pair of peers.
  public var campaigns: UInt64 = 0
  /// Datagrams that the adversary held back.
  public var heldBack: UInt64 = 0
  /// Messages that applications sent.
  public var messagesSent: UInt64 = 0
  /// Messages that applications received.
  public var messagesReceived: UInt64 = 0
  /// `established` events of both roles.
  public var handshakes: UInt64 = 0
  /// `rekeyed` events.
  public var rekeys: UInt64 = 0
  /// `restarted` events.
  public var restarts: UInt64 = 0
  /// `downgraded` events.
  public var downgrades: UInt64 = 0
  /// `answered` events.
  public var probesAnswered: UInt64 = 0
  /// `moved` events.
  public var moves: UInt64 = 0
  /// Attempts to open a session that reached their time limit.
  public var attemptsLimited: UInt64 = 0
  /// Acceptances that applications cancelled.
  public var cancelledAccepts: UInt64 = 0
  /// `ended` events by reason.
  public var ends: [String: UInt64] = [:]
  /// Drops of all endpoints by reason.
  public var drops: [String: UInt64] = [:]
  /// Crashes of peers.
  public var crashes: UInt64 = 0
  /// Stores that were lost with their peers.
  public var storesLost: UInt64 = 0
  /// Store requests that failed.
  public var storeFailures: UInt64 = 0
  /// Partitions.
  public var partitions: UInt64 = 0
  /// Changes of address.
  public var rebindings: UInt64 = 0
  /// Leaps of clocks.
  public var clockLeaps: UInt64 = 0
  /// Items of public-key work.
  public var publicKeyWork: UInt64 = 0
  /// AEAD seals, each with a different nonce.
  public var seals: UInt64 = 0
  /// The number of times that both ends of a session were seen in S2 with the same key.
  public var agreements: UInt64 = 0
  /// The number of times that every pair recovered after turbulence.
  public var recoveries: UInt64 = 0
  /// The longest recovery of all pairs, in virtual seconds.
  public var longestRecovery: Double = 0
  /// Sessions that applications reopened because both ends had moved at once.
  public var reopenedAfterMoves: UInt64 = 0
  /// Sessions that were reopened because a failed swap had left the stores different.
  public var reopenedAfterSwaps: UInt64 = 0

  /// Makes an empty report.
  public init() {}

  /// Returns the sum of two reports, with the seed and the hash of the first.
  public static func + (left: SimulationReport, right: SimulationReport) -> SimulationReport {
    var sum = left
    sum.virtualSeconds += right.virtualSeconds
    let counters: [WritableKeyPath<SimulationReport, UInt64>] = [
      \.steps, \.datagramsSent, \.datagramsReceived, \.datagramsLost, \.datagramsDuplicated, \.attacks,
      \.messagesSent, \.messagesReceived, \.handshakes, \.rekeys, \.restarts, \.downgrades, \.moves, \.crashes,
      \.storesLost, \.storeFailures, \.partitions, \.rebindings, \.clockLeaps, \.publicKeyWork, \.seals, \.agreements,
      \.campaigns, \.heldBack, \.attemptsLimited, \.cancelledAccepts, \.recoveries, \.reopenedAfterMoves,
      \.reopenedAfterSwaps, \.probesAnswered,
    ]
    for counter in counters { sum[keyPath: counter] += right[keyPath: counter] }
    sum.ends.merge(right.ends, uniquingKeysWith: +)
    sum.drops.merge(right.drops, uniquingKeysWith: +)
    sum.longestRecovery = max(left.longestRecovery, right.longestRecovery)
    return sum
  }

  /// Adds an endpoint's own counters when it crashes or the run ends.
  mutating func add(_ traffic: SimulatedTraffic) {
    datagramsSent += traffic.datagramsSent
    datagramsReceived += traffic.datagramsReceived
    publicKeyWork += traffic.publicKeyWork
    drops.merge(traffic.drops, uniquingKeysWith: +)
  }
}
