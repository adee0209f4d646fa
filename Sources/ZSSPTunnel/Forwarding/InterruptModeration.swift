// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// When the device is read: at once, or a moment later, with what comes until then.
///
/// A packet that comes alone wakes this process, and its datagram wakes the peer's, and its packet there whoever reads it; each time that
/// costs a processor several times what the packet costs otherwise. Packets that come one close after another are therefore left to gather
/// for a moment, as network cards do before they interrupt. Super-packets are gathered already, and come too seldom to be held up.
struct InterruptModeration {
  /// Packets that are closer to each other than this, on average, gather.
  static let close = Duration.microseconds(40)
  /// How long they gather.
  static let pause = Duration.microseconds(200)
  /// About how many packets the average is of, so that few are not held up.
  private static let memory: Int64 = 32
  /// The most that a silence counts in nanoseconds, which is enough to end a stream.
  private static let longestGap: Int64 = 1_000_000
  private static let closeNanoseconds = close.nanoseconds

  /// Whether packets come one close after another, so that the next is not the last for now.
  var isClose: Bool { gap < Self.closeNanoseconds }

  /// The average in nanoseconds.
  private var gap = longestGap
  private var last = Instant(nanoseconds: 0)

  /// Records that the device was read to its end, after `packets` since that was so last.
  ///
  /// - Returns: whether to leave it alone for ``pause``, or else until something comes.
  mutating func emptied(packets: Int, at now: Instant) -> Bool {
    guard packets > 0 else { return false }
    let share = min(Int64(packets), Self.memory)
    let current = min(max(0, now.nanoseconds - last.nanoseconds), Self.longestGap) / Int64(packets)
    gap += (current - gap) * share / Self.memory
    last = now
    return isClose
  }
}
