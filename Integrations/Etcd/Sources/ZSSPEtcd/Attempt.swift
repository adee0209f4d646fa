// SPDX-License-Identifier: Apache-2.0

/// A write without an answer.
struct Attempt: Sendable {
  /// The outcome of the write.
  enum Fate: Equatable {
    case done, notDone
    /// It cannot be determined: the row was removed since or written too often, or the mark was
    /// removed with its fence.
    case notKnowable
  }

  let name: [UInt8]
  /// The row that the write started from.
  let base: HeldRow
  /// True if the write leaves a mark.
  let isMarked: Bool
  /// The revision of the fence that the write compared.
  let fence: Int64

  /// Returns the outcome, from the current row, and from the mark if the write leaves one.
  func fate(now: HeldRow, mark: MarkReading?) -> Fate {
    if isMarked { return mark?.fate(fence: fence) ?? .notKnowable }
    if now.writes.contains(name) { return .done }
    // A row names its latest writes. This write would directly follow the last write of its base.
    if now.revision == base.revision { return .notDone }
    if let last = base.writes.last, now.writes.contains(last) { return .notDone }
    return .notKnowable
  }
}

/// A mark, and the fence at the same moment, as read from etcd.
struct MarkReading: Sendable {
  let isThere: Bool
  /// The revision at which the fence was created; nil if it is missing.
  let fenceMade: Int64?

  /// Returns the outcome of the write that leaves the mark and compared the fence at this revision.
  func fate(fence: Int64) -> Attempt.Fate {
    if isThere { return .done }
    // If the fence is another one, the mark may have been removed with the previous fence.
    guard let fenceMade, fenceMade <= fence else { return .notKnowable }
    return .notDone
  }
}

extension EtcdStoreError {
  /// The error for a write whose outcome cannot be determined.
  static var notKnown: Self { .unreachable(reason: "nobody knows what became of a write") }
}
