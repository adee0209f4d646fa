// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Keeps the device's queue from standing: TCP fills a queue as long as nothing is lost, and then everybody waits for its length.
///
/// A queue that is read to its end now and then takes bursts, which is what it is for. One that is not for a while only makes everything
/// late, so single packets are dropped until it is. The queue's length need not be known for that.
struct StandingQueue {
  /// How long a burst may last.
  static let patience = Duration.milliseconds(10)
  /// How often a packet is dropped after that.
  static let interval = Duration.milliseconds(10)

  /// When a packet was found first after the queue was empty; nil while it is.
  private var standingSince: Instant?
  private var nextDrop = Instant(nanoseconds: 0)

  /// Records that the queue was read to its end.
  mutating func emptied() { standingSince = nil }

  /// Records that the queue is not empty. Returns whether the next packet is to be dropped.
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
