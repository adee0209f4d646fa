// SPDX-License-Identifier: Apache-2.0
import ZSSP

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The time, for differences alone.
@inline(__always)
func nanoseconds() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int(time.tv_sec) * 1_000_000_000 + Int(time.tv_nsec)
}

/// Returns 1 for true and 0 for false, without a branch: a branch on the result would take a time of
/// its own, which differs from one result to the other.
@inline(__always)
func number(_ result: Bool) -> Int { unsafe Int(unsafeBitCast(result, to: UInt8.self)) }

nonisolated(unsafe) private var sink = 0

/// Uses `value`, so that the compiler must compute it.
@inline(never)
func consume(_ value: Int) { sink &+= value }

/// Writes `text` and a line feed to standard error.
func note(_ text: String) {
  let line = text + "\n"
  _ = line.withCString { write(2, $0, strlen($0)) }
}
