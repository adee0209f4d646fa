// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

extension Instant {
  /// The time on NIO's clock, which the timers of event loops use too.
  static var loopTime: Instant { Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds)) }
}

extension EventLoop {
  /// The time on this event loop's clock, which its timers use too. It is that of NIO, but for tests that have a clock
  /// of their own.
  var instant: Instant { Instant(nanoseconds: Int64(clamping: now.uptimeNanoseconds)) }
}
