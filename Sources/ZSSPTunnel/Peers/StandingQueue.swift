// SPDX-License-Identifier: Apache-2.0

/// Keeps the device's queue from standing: TCP fills a queue as long as nothing is lost, and then everybody waits for its length.
///
/// A queue that is read to its end now and then takes bursts, which is what it is for. One that is not for a while only makes everything late,
/// so that single packets are dropped until it is. How long the queue is need not be known for that.
struct StandingQueue {
  /// A burst may last so long, in nanoseconds…
  static let patience: Int64 = 10_000_000
  /// …and then a packet is dropped at each of these.
  static let interval: Int64 = 10_000_000

  /// When a packet was found first after the queue was empty; nil while it is.
  private var standingSince: Int64?
  private var nextDrop: Int64 = 0

  /// The queue was read to its end.
  mutating func emptied() { standingSince = nil }

  /// There is something in the queue. Whether the next packet is to be dropped.
  mutating func drops(at now: Int64) -> Bool {
    guard let standingSince else {
      self.standingSince = now
      return false
    }
    guard now - standingSince > Self.patience, now >= nextDrop else { return false }
    nextDrop = now + Self.interval
    return true
  }
}
