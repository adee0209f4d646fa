// SPDX-License-Identifier: Apache-2.0

// [TIME-14]
/// A moment on the clock of the endpoint's driver: nanoseconds since an origin that the driver
/// chooses.
///
/// The protocol never reads a clock. The clock may stand still, but should not run backwards.
public struct Instant: Sendable, Hashable, Comparable {
  /// Nanoseconds since the origin.
  public let nanoseconds: Int64

  /// Creates the moment `nanoseconds` after the origin.
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// Returns the moment `milliseconds` after the origin.
  public static func milliseconds(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

  /// A moment that never comes.
  public static let distantFuture = Instant(nanoseconds: .max)

  /// Compares two moments of one clock.
  public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
}

extension Instant: InstantProtocol {
  /// Returns the moment `duration` later. Out of range it is the distant future, or the earliest
  /// moment for a negative duration.
  public func advanced(by duration: Duration) -> Instant {
    let (sum, overflow) = nanoseconds.addingReportingOverflow(duration.nanoseconds)
    return overflow ? (duration < .zero ? Instant(nanoseconds: .min) : .distantFuture) : Instant(nanoseconds: sum)
  }

  /// Returns the time from this moment to `other`.
  public func duration(to other: Instant) -> Duration {
    .nanoseconds(other.nanoseconds.subtractingReportingOverflow(nanoseconds).partialValue)
  }
}

extension Duration {
  /// The whole nanoseconds, or the nearest value that fits into an integer.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflow || carry ? (seconds < 0 ? .min : .max) : sum
  }
}
