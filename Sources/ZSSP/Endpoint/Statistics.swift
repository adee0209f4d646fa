// SPDX-License-Identifier: Apache-2.0

/// Counters of an endpoint since its creation.
public struct Statistics: Sendable, Hashable {
  /// Received datagrams.
  public internal(set) var datagramsReceived: UInt64 = 0
  /// Bytes of the received datagrams.
  public internal(set) var bytesReceived: UInt64 = 0
  /// Datagrams that were added to the outbox.
  public internal(set) var datagramsSent: UInt64 = 0
  /// Bytes of the datagrams that were added to the outbox.
  public internal(set) var bytesSent: UInt64 = 0
  /// Delivered messages.
  public internal(set) var messagesReceived: UInt64 = 0
  /// Sent messages.
  public internal(set) var messagesSent: UInt64 = 0
  /// Handshakes that led to a session, in both roles.
  public internal(set) var sessionsEstablished: UInt64 = 0
  /// Requested items of public-key work.
  public internal(set) var publicKeyWork: UInt64 = 0
  /// Complete Hellos that were read, at once or from the queue.
  public internal(set) var hellosAdmitted: UInt64 = 0
  /// Complete Hellos that were answered with a challenge.
  public internal(set) var hellosChallenged: UInt64 = 0
  /// Complete Hellos that were dropped unread, on arrival or from the queue: the policy does not
  /// admit them, or there is no room. ``DropReason`` has the reasons, with those of other packets.
  public internal(set) var hellosDropped: UInt64 = 0

  private var drops = InlineDrops()

  /// The number of datagrams and packets that were dropped for `reason`.
  public subscript(reason: DropReason) -> UInt64 { drops.counts[reason.rawValue] }

  /// The number of all dropped datagrams and packets.
  public var dropped: UInt64 { drops.counts.reduce(0, +) }

  mutating func count(_ reason: DropReason) { drops.counts[reason.rawValue] += 1 }

  /// Returns the sums of two endpoints' counters.
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
    sum.hellosAdmitted += other.hellosAdmitted
    sum.hellosChallenged += other.hellosChallenged
    sum.hellosDropped += other.hellosDropped
    for (index, count) in other.drops.counts.enumerated() { sum.drops.counts[index] += count }
    return sum
  }

  private struct InlineDrops: Sendable, Hashable {
    var counts = [UInt64](repeating: 0, count: DropReason.allCases.count)
  }
}
