// SPDX-License-Identifier: Apache-2.0

/// When the device is read: at once, or a moment later, with what comes until then.
///
/// A packet that comes alone wakes this process, and its datagram wakes the peer's, and its packet there whoever reads it; each time that
/// costs a processor several times what the packet costs otherwise. Packets that come one close after another are therefore left to gather
/// for a moment, as network cards do before they interrupt. Super-packets are gathered already, and come too seldom to be held up.
struct ReadPace {
  /// Packets that are closer to each other than this, on average, gather, in nanoseconds…
  static let close: Int64 = 40_000
  /// …for so long.
  static let pause: Int64 = 200_000
  /// The average is of about so many packets, so that few are not held up.
  private static let memory: Int64 = 32
  /// A silence counts as no more than this, which is enough to end a stream.
  private static let longestGap: Int64 = 1_000_000

  /// Whether packets come one close after another, so that the next is not the last for now.
  var isClose: Bool { gap < Self.close }

  private var gap = longestGap
  private var last: Int64 = 0

  /// The device was read to its end, and there were so many packets since that was so last.
  ///
  /// - Returns: whether to leave it alone for ``pause``, or else until something comes.
  mutating func emptied(packets: Int, at now: Int64) -> Bool {
    guard packets > 0 else { return false }
    let share = min(Int64(packets), Self.memory)
    let current = min(max(0, now - last), Self.longestGap) / Int64(packets)
    gap += (current - gap) * share / Self.memory
    last = now
    return isClose
  }
}
