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

nonisolated(unsafe) private var sink = 0

/// Uses `value`, so that the compiler must compute it.
@inline(never)
func consume(_ value: Int) { sink &+= value }

/// Writes `text` and a line feed to standard error.
func note(_ text: String) {
  let line = text + "\n"
  _ = line.withCString { write(2, $0, strlen($0)) }
}
