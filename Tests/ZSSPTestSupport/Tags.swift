// SPDX-License-Identifier: Apache-2.0
public import Testing

extension Tag {
  /// Waits for nothing: the suite needs no sockets, other processes or real time.
  @Tag public static var fast: Self
  /// Waits for sockets, disks, other processes or real time, or computes for long.
  @Tag public static var slow: Self
  /// Needs root, and is skipped without.
  @Tag public static var root: Self
}
