// SPDX-License-Identifier: Apache-2.0

/// Suggests a name for a misspelled one.
enum Suggestion {
  /// Returns the most similar name; nil if none is similar enough.
  static func closest(to name: String, among names: some Sequence<String>) -> String? {
    let limit = max(2, name.count / 3)
    let near = names.map { (name: $0, distance: distance(from: $0, to: name)) }.filter { $0.distance <= limit }
    return near.min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name
  }

  /// Returns the edit distance: the number of characters to insert, remove or replace.
  static func distance(from left: String, to right: String) -> Int {
    let right = Array(right)
    var row = Array(0...right.count)
    for (index, character) in left.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for column in right.indices {
        let replaced = diagonal + (right[column] == character ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
      }
    }
    return row[right.count]
  }
}
