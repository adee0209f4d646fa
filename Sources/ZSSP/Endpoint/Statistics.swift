// SPDX-License-Identifier: Apache-2.0

/// Counters of an endpoint, from its start.
public struct Statistics: Sendable, Hashable {
  /// Datagrams that came in.
  public internal(set) var datagramsReceived: UInt64 = 0
  /// Bytes of the datagrams that came in.
  public internal(set) var bytesReceived: UInt64 = 0
  /// Datagrams that were queued to go out.
  public internal(set) var datagramsSent: UInt64 = 0
  /// Bytes of the datagrams that were queued to go out.
  public internal(set) var bytesSent: UInt64 = 0
  /// Messages that were delivered.
  public internal(set) var messagesReceived: UInt64 = 0
  /// Messages that were sent.
  public internal(set) var messagesSent: UInt64 = 0
  /// Handshakes that led to a session, of both roles.
  public internal(set) var sessionsEstablished: UInt64 = 0
  /// Items of public-key work that were asked for.
  public internal(set) var publicKeyWork: UInt64 = 0

  private var drops = InlineDrops()

  /// How many datagrams or packets were dropped for `reason`.
  public subscript(reason: DropReason) -> UInt64 { drops.counts[reason.rawValue] }

  /// How many datagrams or packets were dropped in all.
  public var dropped: UInt64 { drops.counts.reduce(0, +) }

  mutating func count(_ reason: DropReason) { drops.counts[reason.rawValue] += 1 }

  /// The counters of two endpoints together.
  package func adding(_ other: Statistics) -> Statistics {
    var sum = self
    sum.datagramsReceived += other.datagramsReceived
    sum.bytesReceived += other.bytesReceived
    sum.datagramsSent += other.datagramsSent
    sum.bytesSent += other.bytesSent
    sum.messagesReceived += other.messagesReceived
    sum.messagesSent += other.messagesSent
    sum.sessionsEstablished += other.sessionsEstablished
    sum.publicKeyWork += other.publicKeyWork
    for (index, count) in other.drops.counts.enumerated() { sum.drops.counts[index] += count }
    return sum
  }

  private struct InlineDrops: Sendable, Hashable {
    var counts = [UInt64](repeating: 0, count: DropReason.allCases.count)
  }
}
