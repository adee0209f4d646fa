// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// The clock of the tunnel, which the timers of event loops use, too.
enum TunnelClock {
  static var now: Instant { Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds)) }
}
