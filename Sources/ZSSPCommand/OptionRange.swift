// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// Checks of numbers in options, whose errors name the option, the value and the range.
enum OptionRange {
  /// Checks that a value is in a range. NaN is in none.
  ///
  /// - Parameters:
  ///   - value: The value.
  ///   - option: The option, with its hyphens.
  ///   - range: The range.
  ///   - unit: The unit of the value; empty for none.
  static func check(
    _ value: Double, of option: String, in range: ClosedRange<Double>, unit: String = ""
  ) throws(ValidationError) {
    guard !range.contains(value) else { return }
    throw failure(
      option, value: text(value), must: "\(text(range.lowerBound)) to \(text(range.upperBound))", unit: unit)
  }

  /// Checks that a value is more than 0, and not more than a limit.
  static func check(
    _ value: Double, of option: String, upTo limit: Double, unit: String = ""
  ) throws(ValidationError) {
    guard !(value > 0 && value <= limit) else { return }
    throw failure(option, value: text(value), must: "more than 0, and at most \(text(limit))", unit: unit)
  }

  /// Checks that a whole number is in a range.
  static func check(
    _ value: Int, of option: String, in range: ClosedRange<Int>, unit: String = ""
  ) throws(ValidationError) {
    guard !range.contains(value) else { return }
    throw failure(option, value: "\(value)", must: "\(range.lowerBound) to \(range.upperBound)", unit: unit)
  }

  private static func failure(
    _ option: String, value: String, must range: String, unit: String
  ) -> ValidationError {
    ValidationError("\(option) \(value): must be \(range)\(unit.isEmpty ? "" : " \(unit)")")
  }

  /// Returns a number as people write it.
  private static func text(_ value: Double) -> String {
    value == value.rounded() && value.magnitude < 1e15 ? "\(Int(value))" : "\(value)"
  }
}
