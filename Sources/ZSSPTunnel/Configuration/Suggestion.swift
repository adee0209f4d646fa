// SPDX-License-Identifier: Apache-2.0

/// What somebody probably meant.
enum Suggestion {
  /// The name that is most like a wrong one, if one is like it.
  static func closest(to name: String, among names: some Sequence<String>) -> String? {
    let limit = max(2, name.count / 3)
    let near = names.map { (name: $0, distance: distance($0, name)) }.filter { $0.distance <= limit }
    return near.min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name
  }

  /// How many characters have to be put in, left out or replaced.
  static func distance(_ left: String, _ right: String) -> Int {
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
