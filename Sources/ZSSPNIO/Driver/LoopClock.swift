// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

extension Instant {
  /// The time on NIO's clock, which the timers of event loops use.
  static var loopTime: Instant { Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds)) }
}

extension EventLoop {
  /// The time on this event loop's clock, which its timers use: NIO's clock, except in tests that
  /// have their own.
  var instant: Instant { Instant(nanoseconds: Int64(clamping: now.uptimeNanoseconds)) }
}
