// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Decides when the device is read: at once, or a moment later together with the packets that
/// arrive until then.
///
/// A single packet wakes this process, its datagram wakes the peer's process, and the packet there
/// wakes its receiver. Each wake-up costs several times as much processor time as the packet
/// itself. So packets that follow each other closely gather for a moment, as network cards do
/// before they interrupt. Super-packets are gathered already, and come too seldom to be delayed.
struct InterruptModeration {
  /// The average interval below which packets gather.
  static let close = Duration.microseconds(40)
  /// The time for which they gather.
  static let pause = Duration.microseconds(200)
  /// About how many packets the average covers, so that a few are not delayed.
  private static let memory: Int64 = 32
  /// The maximum weight of a silence in nanoseconds, which is enough to end a stream.
  private static let longestGap: Int64 = 1_000_000
  private static let closeNanoseconds = close.nanoseconds

  /// True if packets follow each other so closely that another is likely to come soon.
  var isClose: Bool { gap < Self.closeNanoseconds }

  /// The average interval in nanoseconds.
  private var gap = longestGap
  private var last = Instant(nanoseconds: 0)

  /// Records that the device was read to its end, with `packets` since the last time.
  ///
  /// - Returns: True to stop reading for ``pause``; false to read when a packet arrives.
  mutating func emptied(packets: Int, at now: Instant) -> Bool {
    guard packets > 0 else { return false }
    let share = min(Int64(packets), Self.memory)
    let current = min(max(0, now.nanoseconds - last.nanoseconds), Self.longestGap) / Int64(packets)
    gap += (current - gap) * share / Self.memory
    last = now
    return isClose
  }
}
