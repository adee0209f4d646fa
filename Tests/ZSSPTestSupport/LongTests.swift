// SPDX-License-Identifier: Apache-2.0
import Foundation
public import Testing

/// The selection of tests that run.
public enum TestSelection {
  /// True if long tests run as well: the variable `ZSSP_ALL_TESTS=1` is set.
  public static let isAll = ProcessInfo.processInfo.environment["ZSSP_ALL_TESTS"] == "1"
}

extension Trait where Self == ConditionTrait {
  /// Skips the test, or each test of the suite, unless `ZSSP_ALL_TESTS=1` is set.
  ///
  /// For tests that take more than a few seconds of processor time, or that repeat with more cases
  /// what a shorter test shows.
  public static var long: Self { .enabled(if: TestSelection.isAll, "long: ZSSP_ALL_TESTS=1 runs it") }
}
