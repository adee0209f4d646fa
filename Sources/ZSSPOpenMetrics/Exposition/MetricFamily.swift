// SPDX-License-Identifier: Apache-2.0

/// The unit of a metric. Its word is part of the metric's name.
public enum MetricUnit: String, Sendable, Hashable, CaseIterable {
  case bytes
  case seconds
}

/// A label of a sample.
public struct MetricLabel: Sendable, Hashable {
  /// The name: letters, digits and `_`, without a digit in front. Other characters become `_`.
  public let name: String
  /// The value: any text.
  public let value: String

  /// Makes a label.
  public init(_ name: String, _ value: String) {
    self.name = MetricName.label(name)
    self.value = value
  }
}

/// The value of a sample.
public enum MetricValue: Sendable, Hashable, ExpressibleByIntegerLiteral {
  case count(UInt64)
  case number(Double)

  /// Makes a count.
  public init(integerLiteral value: UInt64) { self = .count(value) }
}

/// A metric: its name, unit and help, and a sample for each set of labels.
public struct MetricFamily: Sendable {
  /// The type of a metric.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// A number that only grows.
    case counter
    /// A number that may go down.
    case gauge
    /// Counts of observations in buckets.
    case histogram
    /// Texts, as labels of a sample that is always 1.
    case info
  }

  /// A sample. Its name is the family's, with a suffix.
  struct Sample: Sendable {
    let suffix: String
    let labels: [MetricLabel]
    let value: MetricValue
  }

  /// The name with the unit, without a suffix such as `_total`.
  public let name: String
  /// The type.
  public let kind: Kind
  /// The unit; nil for a plain number.
  public let unit: MetricUnit?
  /// A sentence about the metric.
  public let help: String
  private(set) var samples: [Sample] = []

  /// Makes a metric without samples.
  ///
  /// - Parameters:
  ///   - name: The name without unit and suffix: letters, digits, `_` and `:`, without a digit in
  ///     front. Other characters become `_`.
  ///   - kind: The type.
  ///   - unit: The unit, which is appended to the name. None by default.
  ///   - help: A sentence about the metric.
  public init(_ name: String, kind: Kind, unit: MetricUnit? = nil, help: String) {
    self.name = MetricName.family(name) + (unit.map { "_\($0.rawValue)" } ?? "")
    self.kind = kind
    self.unit = unit
    self.help = help
  }

  /// Adds a sample. A histogram takes ``addHistogram(_:labels:)`` instead.
  public mutating func add(_ value: MetricValue, labels: [MetricLabel] = []) {
    switch kind {
    case .counter: samples.append(Sample(suffix: "_total", labels: labels, value: value))
    case .gauge: samples.append(Sample(suffix: "", labels: labels, value: value))
    case .info: samples.append(Sample(suffix: "_info", labels: labels, value: .count(1)))
    case .histogram: break
    }
  }

  /// Adds a histogram. Does nothing if this metric is none.
  public mutating func addHistogram(_ histogram: MetricHistogram, labels: [MetricLabel] = []) {
    guard kind == .histogram else { return }
    var sum: UInt64 = 0
    for (index, count) in histogram.counts.enumerated() {
      sum += count
      let bound = index < histogram.bounds.count ? MetricValue.number(histogram.bounds[index]).text : "+Inf"
      samples.append(Sample(suffix: "_bucket", labels: labels + [MetricLabel("le", bound)], value: .count(sum)))
    }
    samples.append(Sample(suffix: "_count", labels: labels, value: .count(sum)))
    samples.append(Sample(suffix: "_sum", labels: labels, value: .number(histogram.sum)))
  }
}

/// Observations in buckets.
public struct MetricHistogram: Sendable, Hashable {
  /// The upper bounds of the buckets, in ascending order.
  public let bounds: [Double]
  /// The number of observations in each bucket alone; the last is for those above all bounds.
  public let counts: [UInt64]
  /// The sum of the observations.
  public let sum: Double

  /// Makes a histogram. Bounds without a count count as empty, and counts beyond those of the
  /// bounds are added to the last bucket.
  public init(bounds: [Double], counts: [UInt64], sum: Double) {
    var fitting = [UInt64](repeating: 0, count: bounds.count + 1)
    for (index, count) in counts.enumerated() { fitting[min(index, bounds.count)] += count }
    self.bounds = bounds
    self.counts = fitting
    self.sum = sum
  }
}

/// The characters of names.
enum MetricName {
  /// Returns a valid name of a metric.
  static func family(_ text: String) -> String { valid(text, colons: true) }

  /// Returns a valid name of a label.
  static func label(_ text: String) -> String { valid(text, colons: false) }

  private static func valid(_ text: String, colons: Bool) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "a"..."z", "A"..."Z", "_": result.unicodeScalars.append(scalar)
      case ":" where colons: result.unicodeScalars.append(scalar)
      case "0"..."9" where !result.isEmpty: result.unicodeScalars.append(scalar)
      default: result += "_"
      }
    }
    return result.isEmpty ? "_" : result
  }
}
