// SPDX-License-Identifier: Apache-2.0
import ZSSPOpenMetrics

/// A parser of both formats that accepts nothing but what their descriptions allow, and of that
/// only what an exporter should write.
struct ParsedExposition {
  struct Family {
    var type = ""
    var unit: String?
    var help: String?
    var samples: [Sample] = []
  }

  struct Sample: Equatable {
    var name: String
    var labels: [String: String]
    var value: String
  }

  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  private(set) var families: [String: Family] = [:]

  /// Parses a text, or says what is wrong with it.
  init(_ text: String, as format: MetricsFormat) throws(Failure) {
    guard text.hasSuffix("\n") else { throw Failure(description: "no line feed at the end") }
    var lines = text.dropLast().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if format == .openMetrics {
      guard lines.popLast() == "# EOF" else { throw Failure(description: "no EOF") }
    }
    var current = ""
    for line in lines {
      if line.hasPrefix("# ") {
        let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
        guard words.count == 4 else { throw Failure(description: "a short comment: \(line)") }
        if words[2] != current {
          guard families[words[2]] == nil else { throw Failure(description: "not in one place: \(line)") }
          current = words[2]
          families[current] = Family()
        }
        guard families[current]?.samples.isEmpty == true else { throw Failure(description: "after samples: \(line)") }
        try describe(current, word: words[1], text: words[3], as: format)
      } else {
        try append(line, to: current, as: format)
      }
    }
    for (name, family) in families {
      guard !family.samples.isEmpty, family.help?.isEmpty == false, !family.type.isEmpty else {
        throw Failure(description: "\(name): samples, type or help are missing")
      }
      if let unit = family.unit, !name.hasSuffix("_\(unit)") { throw Failure(description: "\(name): not in \(unit)") }
      if family.type == "histogram" { try checkHistogram(family, name: name) }
    }
  }

  private mutating func describe(_ name: String, word: String, text: String, as format: MetricsFormat) throws(Failure) {
    guard isName(name, colons: true) else { throw Failure(description: "no name: \(name)") }
    switch (word, format) {
    case ("TYPE", _):
      let types = ["counter", "gauge", "histogram"] + (format == .openMetrics ? ["info"] : [])
      guard types.contains(text) else { throw Failure(description: "no type: \(text)") }
      families[name]?.type = text
    case ("HELP", _):
      let help = try unescaped(text, quotes: format == .openMetrics)
      families[name]?.help = help
    case ("UNIT", .openMetrics): families[name]?.unit = text
    default: throw Failure(description: "no such word: \(word)")
    }
  }

  private mutating func append(_ line: String, to family: String, as format: MetricsFormat) throws(Failure) {
    let characters = Array(line)
    var index = 0
    func take(while condition: (Character) -> Bool) -> String {
      let start = index
      while index < characters.count, condition(characters[index]) { index += 1 }
      return String(characters[start..<index])
    }
    let name = take { $0 != "{" && $0 != " " }
    guard isName(name, colons: true) else { throw Failure(description: "no name: \(line)") }
    var labels: [String: String] = [:]
    if index < characters.count, characters[index] == "{" {
      repeat {
        index += 1
        let label = take { $0 != "=" }
        index += 1
        guard isName(label, colons: false), index < characters.count, characters[index] == "\"" else {
          throw Failure(description: "no label: \(line)")
        }
        index += 1
        var value = ""
        while index < characters.count, characters[index] != "\"" {
          if characters[index] == "\\" {
            value.append("\\")
            index += 1
          }
          guard index < characters.count else { throw Failure(description: "an open label: \(line)") }
          value.append(characters[index])
          index += 1
        }
        index += 1
        guard labels.updateValue(try unescaped(value, quotes: true), forKey: label) == nil else {
          throw Failure(description: "a label twice: \(line)")
        }
      } while index < characters.count && characters[index] == ","
      guard index < characters.count, characters[index] == "}" else { throw Failure(description: "open: \(line)") }
      index += 1
    }
    guard index < characters.count, characters[index] == " " else { throw Failure(description: "no value: \(line)") }
    let value = String(characters[(index + 1)...])
    guard ["NaN", "+Inf", "-Inf"].contains(value) || Double(value) != nil else {
      throw Failure(description: "no number: \(line)")
    }
    guard let type = families[family]?.type else { throw Failure(description: "no family: \(line)") }
    let suffixes: [String]
    switch (type, format) {
    case ("counter", .openMetrics): suffixes = ["_total"]
    case ("info", _): suffixes = ["_info"]
    case ("histogram", _): suffixes = ["_bucket", "_count", "_sum"]
    default: suffixes = [""]
    }
    guard suffixes.contains(where: { family + $0 == name }) else { throw Failure(description: "misplaced: \(line)") }
    if type == "counter", format == .prometheus, !family.hasSuffix("_total") {
      throw Failure(description: "a counter without _total: \(line)")
    }
    let sample = Sample(name: name, labels: labels, value: value)
    let isKnown = families[family]?.samples.contains { $0.name == name && $0.labels == labels } ?? false
    guard !isKnown else { throw Failure(description: "twice: \(line)") }
    families[family]?.samples.append(sample)
  }

  private func checkHistogram(_ family: Family, name: String) throws(Failure) {
    var last: [[String: String]: (bound: Double, count: UInt64)] = [:]
    for sample in family.samples where sample.name == "\(name)_bucket" {
      var labels = sample.labels
      let text = labels.removeValue(forKey: "le") ?? ""
      guard let bound = text == "+Inf" ? .infinity : Double(text), let count = UInt64(sample.value) else {
        throw Failure(description: "\(name): no bucket: \(sample)")
      }
      if let before = last[labels], before.bound >= bound || before.count > count {
        throw Failure(description: "\(name): not cumulative: \(sample)")
      }
      last[labels] = (bound, count)
    }
    for (labels, end) in last {
      let count = family.samples.first { $0.name == "\(name)_count" && $0.labels == labels }
      guard end.bound == .infinity, count?.value == "\(end.count)" else {
        throw Failure(description: "\(name): no end of buckets")
      }
    }
  }

  private func isName(_ text: String, colons: Bool) -> Bool {
    let isMade = text.unicodeScalars.allSatisfy {
      ("a"..."z").contains($0) || ("A"..."Z").contains($0) || ("0"..."9").contains($0) || $0 == "_"
        || colons && $0 == ":"
    }
    return isMade && !text.isEmpty && !("0"..."9").contains(text.unicodeScalars.first ?? "0")
  }

  private func unescaped(_ text: String, quotes: Bool) throws(Failure) -> String {
    var result = ""
    var isEscaped = false
    for character in text {
      switch (isEscaped, character) {
      case (true, "n"): result.append("\n")
      case (true, "\\"): result.append("\\")
      case (true, "\"") where quotes: result.append("\"")
      case (true, _): throw Failure(description: "no escape: \(character)")
      case (false, "\\"):
        isEscaped = true
        continue
      case (false, _): result.append(character)
      }
      isEscaped = false
    }
    return result
  }

  /// The value of a sample; nil if there is none.
  func value(_ name: String, _ labels: [String: String] = [:]) -> String? {
    families.values.flatMap(\.samples).first { $0.name == name && $0.labels == labels }?.value
  }
}
