// SPDX-License-Identifier: Apache-2.0

// The values that the lock of a directory protects.

extension PeerDirectory {
  /// A point in the order of events.
  struct Mark: Sendable, Hashable, Comparable {
    fileprivate let value: UInt64

    /// The mark before every event.
    static let first = Mark(value: 0)

    static func < (left: Mark, right: Mark) -> Bool { left.value < right.value }
  }

  struct Attempt {
    let place: Place
    /// The time when X3 was sent; nil if it was not.
    var committedAt: Instant?
    /// True if an earlier X3 of the attempt was not answered before A3 timed out.
    var wasUnanswered = false
    /// The latest time at which X3 may be resent.
    var lastResend = Instant.distantFuture
  }

  /// A session that an endpoint has established, and the mark of the swap that led to it.
  struct Established {
    let place: Place
    let mark: Mark
  }

  /// The sessions and attempts with one peer.
  struct Entry {
    var session: Place?
    var established: [Established] = []
    var attempts: [Attempt] = []

    var isEmpty: Bool { session == nil && established.isEmpty && attempts.isEmpty }

    /// Returns the mark of a session that has not ended; nil for others.
    func mark(of place: Place) -> Mark? { established.first { $0.place == place }?.mark }

    /// Returns true if the session that was recorded last is newer than this one.
    func hasNewer(than place: Place) -> Bool {
      guard let session, session != place, let newest = mark(of: session) else { return false }
      return mark(of: place).map { $0 < newest } ?? true
    }
  }

  /// The last swaps of established sessions with one peer.
  struct Progress {
    var requested = Mark.first
    var done = Mark.first
  }

  struct State {
    var entries: [PublicKey: Entry] = [:]
    var lastMark = Mark.first
    var progress = RecentValues<PublicKey, Progress>()
    /// The last X2 of each peer that was based on a state.
    var answers = RecentValues<PublicKey, Mark>()
    var storing = RecentNames()
    var leftBehind = RecentNames()

    mutating func takeMark() -> Mark {
      lastMark = Mark(value: lastMark.value + 1)
      return lastMark
    }

    mutating func update<Result>(_ peer: PublicKey, change: (inout Entry) -> Result) -> Result {
      var entry = entries[peer] ?? Entry()
      let result = change(&entry)
      entries[peer] = entry.isEmpty ? nil : entry
      return result
    }
  }
}
