// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Prevents a standing queue in the device: TCP fills a queue as long as nothing is lost, and then
/// its length delays all traffic.
///
/// A queue that is emptied now and then absorbs bursts, which is its purpose. A queue that stays
/// filled only adds delay, so single packets are dropped until it is empty. The queue's length need
/// not be known for that.
struct StandingQueue {
  /// The maximum duration of a burst.
  static let patience = Duration.milliseconds(10)
  /// The interval at which packets are dropped after that.
  static let interval = Duration.milliseconds(10)

  /// The time since which the queue has not been empty; nil while it is.
  private var standingSince: Instant?
  private var nextDrop = Instant(nanoseconds: 0)

  /// Records that the queue was read to its end.
  mutating func emptied() { standingSince = nil }

  /// Records that the queue is not empty. Returns true if the next packet must be dropped.
  mutating func drops(at now: Instant) -> Bool {
    guard let standingSince else {
      self.standingSince = now
      return false
    }
    guard standingSince.duration(to: now) > Self.patience, now >= nextDrop else { return false }
    nextDrop = now.advanced(by: Self.interval)
    return true
  }
}
