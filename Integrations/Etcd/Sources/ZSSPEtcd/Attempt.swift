// SPDX-License-Identifier: Apache-2.0

/// A write that got no answer.
struct Attempt: Sendable {
  /// What became of it.
  enum Fate: Equatable {
    case done, notDone
    /// The row was removed since, or written too often; or the mark, with its fence.
    case notKnowable
  }

  let name: [UInt8]
  /// The row that it began from.
  let base: HeldRow
  /// Whether it leaves a mark.
  let isMarked: Bool
  /// The revision of the fence that it compared.
  let fence: Int64

  /// What became of it, as the row now tells, and the mark if there may be one.
  func fate(now: HeldRow, mark: MarkReading?) -> Fate {
    if isMarked { return mark?.fate(fence: fence) ?? .notKnowable }
    if now.writes.contains(name) { return .done }
    // A row names its latest writes. This one would be the next after that which made its base.
    if now.revision == base.revision { return .notDone }
    if let last = base.writes.last, now.writes.contains(last) { return .notDone }
    return .notKnowable
  }
}

/// What was read of a mark, and of the fence at the same moment.
struct MarkReading: Sendable {
  let isThere: Bool
  /// The revision at which the fence was made; nil if there is none.
  let fenceMade: Int64?

  /// What became of the write that leaves the mark, and compared the fence at this revision.
  func fate(fence: Int64) -> Attempt.Fate {
    if isThere { return .done }
    // Where the fence is another one, the mark may have been there and was removed with the one before.
    guard let fenceMade, fenceMade <= fence else { return .notKnowable }
    return .notDone
  }
}

extension EtcdStoreError {
  /// What a write is answered with whose fate nobody can find out.
  static var notKnown: Self { .unreachable(reason: "nobody knows what became of a write") }
}
