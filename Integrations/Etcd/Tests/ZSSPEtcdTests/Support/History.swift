// SPDX-License-Identifier: Apache-2.0

/// The requests for the row of one peer and their answers, with the moments: a register that holds
/// a number.
struct History: Sendable {
  struct Operation: Sendable {
    enum Kind: Sendable {
      /// The register was read, and held this.
      case load(Int)
      /// It was asked whether the register holds this, and answered.
      case lookUp(Int, isFound: Bool)
      /// A swap from one number to another, and whether it was done; nil if nobody knows.
      case swap(from: Int, to: Int, isDone: Bool?)
    }

    let kind: Kind
    /// Any clock that only grows. What has no answer may be done at any later time.
    let began: Int
    let ended: Int

    /// True if it may never have been done.
    var isUnknown: Bool {
      if case .swap(_, _, nil) = kind { true } else { false }
    }

    /// Returns true if it can be done when the register holds `value`, and leaves it.
    func changesNothing(_ value: Int) -> Bool { !isUnknown && result(value) == value }

    /// Returns the number after the operation; nil if that cannot be done when it is `value`.
    func result(_ value: Int) -> Int? {
      switch kind {
      case .load(value): value
      case .load: nil
      case .lookUp(let number, let isFound): (value == number) == isFound ? value : nil
      case .swap(value, let to, let isDone): isDone == false ? nil : to
      case .swap(_, _, let isDone): isDone == false ? value : nil
      }
    }
  }

  private(set) var operations: [Operation] = []

  mutating func add(_ kind: Operation.Kind, _ began: Int, _ ended: Int) {
    operations.append(Operation(kind: kind, began: began, ended: ended))
  }

  /// Returns true if there is an order of all operations that were answered, and some of the
  /// others, in which each one has the answer that it got, and none comes before one that had ended
  /// when it began.
  ///
  /// The search goes through all such orders, but never twice through what has the same operations
  /// done and the same number held.
  func isLinearizable(from initial: Int = 0) -> Bool {
    let operations = operations.sorted { $0.began < $1.began }
    var seen: Set<Position> = []
    var open = [Position(done: [], first: 0, value: initial)]
    while let position = open.popLast() {
      // An operation can be the next if no other one that is left had ended when it began.
      var limit = Int.max
      var next: [Int] = []
      for index in position.first..<operations.count where !position.done.contains(index) {
        guard operations[index].began <= limit else { break }
        next.append(index)
        if !operations[index].isUnknown { limit = min(limit, operations[index].ended) }
      }
      if limit == Int.max { return true }
      // What changes nothing may as well be done first.
      if let same = next.first(where: { operations[$0].changesNothing(position.value) }) { next = [same] }
      for index in next.reversed() {
        guard let value = operations[index].result(position.value) else { continue }
        let after = position.with(index, value, operations.count)
        if seen.insert(after).inserted { open.append(after) }
      }
    }
    return false
  }

  /// A position in an order of operations.
  private struct Position: Hashable {
    /// The operations that are done, beside all that come before `first`.
    var done: Set<Int>
    var first: Int
    var value: Int

    func with(_ index: Int, _ value: Int, _ count: Int) -> Position {
      var position = self
      position.value = value
      position.done.insert(index)
      while position.first < count, position.done.remove(position.first) != nil { position.first += 1 }
      return position
    }
  }
}
