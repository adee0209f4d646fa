// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The clock of timers, in nanoseconds.
enum TunnelClock {
  static var now: Int64 { Int64(clamping: NIODeadline.now().uptimeNanoseconds) }
  static let second: Int64 = 1_000_000_000
}
