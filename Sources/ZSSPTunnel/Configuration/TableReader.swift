// SPDX-License-Identifier: Apache-2.0

#if Tunnel
  import TOMLKit

  /// Collects all mistakes in a file, so that they are reported together.
  package final class ProblemList {
    private let lines: KeyLines
    private(set) var problems: [TunnelConfigurationError.Problem] = []

    init(_ lines: KeyLines) { self.lines = lines }

    func hasLine(_ path: String) -> Bool { lines[path] != nil }

    func add(_ path: String, _ message: String, isOfSystem: Bool = false) {
      problems.append(
        TunnelConfigurationError.Problem(line: lines[path], message: message, isOfSystem: isOfSystem))
    }
  }

  /// Reads the values of one table. It records the keys that are read; ``finish(above:)`` refuses
  /// all others.
  package struct TableReader {
    private let table: TOMLTable
    private let prefix: String
    private let problems: ProblemList
    /// The folder of relative paths; empty for the current one.
    private let folder: String
    private(set) var known: [String] = []

    /// Reads a table whose keys have the given prefix in messages, as in `peer[0].`.
    init(_ table: TOMLTable, prefix: String, folder: String, problems: ProblemList) {
      self.table = table
      self.prefix = prefix
      self.folder = folder
      self.problems = problems
    }

    /// Records that the value of a key is wrong.
    package func fail(_ key: String, _ message: String) { problems.add(prefix + key, "\(key): \(message)") }

    /// Records that the value of a key is no endpoint or listen address.
    func fail(_ key: String, _ error: EndpointTextError) {
      problems.add(prefix + key, "\(key): \(error)", isOfSystem: error.isOfSystem)
    }

    /// Records that one of several tables is wrong, or a value in it.
    func fail(_ key: String, at index: Int, value inner: String? = nil, message: String) {
      problems.add("\(prefix)\(key)[\(index)]\(inner.map { ".\($0)" } ?? "")", "\(inner ?? key): \(message)")
    }

    /// Returns true if a value in one of several tables has a line.
    func hasLine(_ key: String, at index: Int, inner: String) -> Bool {
      problems.hasLine("\(prefix)\(key)[\(index)].\(inner)")
    }

    private mutating func value(_ key: String) -> (any TOMLValueConvertible)? {
      known.append(key)
      return table[key]
    }

    package mutating func string(_ key: String) -> String? {
      guard let value = value(key) else { return nil }
      guard let text = value.string else {
        fail(key, "must be text in quotation marks")
        return nil
      }
      return text
    }

    /// Returns a text, or a whole number as text.
    package mutating func text(_ key: String) -> String? {
      if let number = table[key]?.int {
        known.append(key)
        return "\(number)"
      }
      return string(key)
    }

    /// Returns the path of a file, relative to the folder of the configuration unless it is
    /// absolute.
    package mutating func path(_ key: String) -> String? { string(key).map(resolve) }

    /// Resolves a path in the folder of the configuration, unless it is absolute or empty.
    package func resolve(_ path: String) -> String {
      guard !path.isEmpty, !path.hasPrefix("/"), !folder.isEmpty else { return path }
      return folder.hasSuffix("/") ? folder + path : "\(folder)/\(path)"
    }

    package mutating func bool(_ key: String) -> Bool? {
      guard let value = value(key) else { return nil }
      guard let flag = value.bool else {
        fail(key, "must be true or false")
        return nil
      }
      return flag
    }

    package mutating func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
      guard let value = value(key) else { return nil }
      guard let number = value.int, range.contains(number) else {
        fail(key, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        return nil
      }
      return number
    }

    package mutating func strings(_ key: String) -> [String]? {
      guard let value = value(key) else { return nil }
      let texts = value.array?.map { $0.string }
      guard let texts, !texts.contains(nil) else {
        fail(key, "must be a list of texts, as in [\"one\", \"two\"]")
        return nil
      }
      return texts.compactMap { $0 }
    }

    /// Returns the value of one of several words.
    package mutating func choice<Value>(_ key: String, of choices: [(String, Value)]) -> Value? {
      guard let text = string(key) else { return nil }
      guard let choice = choices.first(where: { $0.0 == text }) else {
        let names = choices.map(\.0)
        let hint = Suggestion.closest(to: text, among: names).map { "; did you mean \"\($0)\"?" } ?? ""
        fail(key, "\"\(text)\" is not one of \(names.joined(separator: ", "))\(hint)")
        return nil
      }
      return choice.1
    }

    /// Returns a duration: seconds as a number, or text as in 90s, 30m, 1h.
    package mutating func duration(_ key: String) -> Duration? {
      guard let value = value(key) else { return nil }
      guard let number = value.int ?? value.string.flatMap(Self.seconds), (1...1_000_000_000).contains(number) else {
        fail(key, "must be a number of seconds, or a duration like \"90s\", \"30m\" or \"1h\"")
        return nil
      }
      return .seconds(number)
    }

    private static func seconds(_ text: String) -> Int? {
      let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600]
      guard let unit = text.last.flatMap({ units[$0] }), let number = Int(text.dropLast()) else { return nil }
      let (seconds, overflows) = number.multipliedReportingOverflow(by: unit)
      return overflows ? nil : seconds
    }

    /// Returns prefixes without duplicates. With `isExact`, bits after the prefix length are an
    /// error.
    mutating func prefixes(_ key: String, isExact: Bool) -> [IPPrefix] {
      var known: Set<IPPrefix> = []
      return (strings(key) ?? []).compactMap { text in
        guard let prefix = IPPrefix(text) else {
          fail(key, "\"\(text)\" is not like 10.0.0.0/8 or 2001:db8::/32")
          return nil
        }
        guard !isExact || prefix == prefix.network else {
          fail(key, "\"\(text)\" names an address in a network; did you mean \"\(prefix.network)\"?")
          return nil
        }
        return known.insert(prefix).inserted ? prefix : nil
      }
    }

    /// Returns a nested table.
    mutating func table(_ key: String) -> TableReader? {
      guard let value = value(key) else { return nil }
      guard let inner = value.table else {
        fail(key, "must be a table, [\(key)]")
        return nil
      }
      return TableReader(inner, prefix: "\(prefix)\(key).", folder: folder, problems: problems)
    }

    /// Returns nested tables.
    mutating func tables(_ key: String) -> [TableReader] {
      guard let value = value(key) else { return [] }
      guard let array = value.array, array.allSatisfy({ $0.table != nil }) else {
        fail(key, "must be tables, each with [[\(key)]] above it")
        return []
      }
      return array.enumerated().compactMap { index, value in
        value.table.map { TableReader($0, prefix: "\(prefix)\(key)[\(index)].", folder: folder, problems: problems) }
      }
    }

    /// Records an error for each key that was not read. A key in `above` belongs to the enclosing
    /// table, and was written too late.
    func finish(above: [String] = []) {
      for key in table.keys where !known.contains(key) {
        if above.contains(key) {
          let header = prefix.hasPrefix("peer[") ? "[[peer]]" : "[\(prefix.dropLast())]"
          problems.add(prefix + key, "\"\(key)\" belongs above the first \(header)")
          continue
        }
        let hint = Suggestion.closest(to: key, among: known).map { "; did you mean \"\($0)\"?" } ?? ""
        problems.add(prefix + key, "unknown key \"\(key)\"\(hint)")
      }
    }

    /// Records an error about the table as a whole.
    func failAll(_ message: String) { problems.add(String(prefix.dropLast()), message) }
  }
#endif
