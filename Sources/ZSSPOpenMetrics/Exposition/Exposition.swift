// SPDX-License-Identifier: Apache-2.0

/// Writes metrics as text.
public struct Exposition: Sendable {
  /// The format of the text.
  public let format: MetricsFormat
  private var text = ""

  private init(_ format: MetricsFormat) { self.format = format }

  /// Returns metrics as text. Those without samples are left out, and of several with one name all
  /// but the first.
  ///
  /// - Parameters:
  ///   - families: The metrics.
  ///   - format: The format of the text.
  public static func text(of families: [MetricFamily], as format: MetricsFormat) -> String {
    var exposition = Exposition(format)
    var names: Set<String> = []
    for family in families where !family.samples.isEmpty && names.insert(family.name).inserted {
      exposition.append(family)
    }
    if format == .openMetrics { exposition.text += "# EOF\n" }
    return exposition.text
  }

  private mutating func append(_ family: MetricFamily) {
    switch format {
    case .openMetrics:
      text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
      if let unit = family.unit { text += "# UNIT \(family.name) \(unit.rawValue)\n" }
      text += "# HELP \(family.name) \(Self.escaped(family.help, quotes: true))\n"
    case .prometheus:
      let name = family.nameInPrometheus
      text += "# HELP \(name) \(Self.escaped(family.help, quotes: false))\n"
      text += "# TYPE \(name) \(family.kind == .info ? "gauge" : family.kind.rawValue)\n"
    }
    for sample in family.samples {
      text += family.name
      text += sample.suffix
      append(sample.labels)
      text += " \(sample.value.text)\n"
    }
  }

  private mutating func append(_ labels: [MetricLabel]) {
    guard !labels.isEmpty else { return }
    text += "{"
    for (index, label) in labels.enumerated() {
      if index > 0 { text += "," }
      text += "\(label.name)=\"\(Self.escaped(label.value, quotes: true))\""
    }
    text += "}"
  }

  /// Escapes what would end a text: a backslash, a line feed, and if asked for a quotation mark.
  private static func escaped(_ text: String, quotes: Bool) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\"" where quotes: result += "\\\""
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

extension MetricFamily {
  /// The name in the format of Prometheus, where a suffix that all samples have belongs to it.
  fileprivate var nameInPrometheus: String {
    switch kind {
    case .counter: "\(name)_total"
    case .info: "\(name)_info"
    case .gauge, .histogram: name
    }
  }
}

extension MetricValue {
  /// The value in the notation of both formats.
  var text: String {
    switch self {
    case .count(let count): return "\(count)"
    case .number(let number):
      if number.isNaN { return "NaN" }
      if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
      return "\(number)"
    }
  }
}
