// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Public-key work that waits for a thread.
///
/// The next item is the oldest one of the best rank: steps of handshakes in which this side or the
/// peer has proved something, then re-keys, then what strangers can cause. Every eighth item is the
/// one that has waited longest, whatever it is, so no rank waits for ever.
struct WorkQueue {
  private struct Entry {
    let work: PublicKeyWork
    let number: UInt64
  }

  /// Items that a thread takes in their order.
  private struct Line {
    let rank: PublicKeyWork.Rank
    var entries = CircularBuffer<Entry>()

    init(_ rank: PublicKeyWork.Rank) { self.rank = rank }
  }

  /// A line for each rank, and one for proof of work: a thread takes one of these items at a time,
  /// and it must not keep it from the handshakes behind.
  private var lines = PublicKeyWork.Rank.allCases.map(Line.init) + [Line(PublicKeyWork.Kind.proofOfWork.rank)]
  private var added: UInt64 = 0
  private var taken = 0

  /// One item of this number is taken by its age.
  private static let turn = 8

  /// The number of items.
  var count: Int { lines.reduce(0) { $0 + $1.entries.count } }

  /// Adds an item.
  mutating func append(_ work: PublicKeyWork) {
    added += 1
    let line = work.kind == .proofOfWork ? lines.count - 1 : work.kind.rank.rawValue
    lines[line].entries.append(Entry(work: work, number: added))
  }

  /// Removes and returns the next item.
  ///
  /// - Parameter admits: Returns true if the thread can take an item of a kind now.
  /// - Returns: The item; nil if the thread can take none.
  mutating func next(where admits: (PublicKeyWork.Kind) -> Bool) -> PublicKeyWork? {
    let isByAge = (taken + 1) % Self.turn == 0
    var best: (line: Int, rank: PublicKeyWork.Rank, number: UInt64)?
    for (index, line) in lines.enumerated() {
      guard let entry = line.entries.first, admits(entry.work.kind) else { continue }
      let isBetter =
        best.map { best in
          isByAge || line.rank == best.rank ? entry.number < best.number : line.rank < best.rank
        } ?? true
      if isBetter { best = (index, line.rank, entry.number) }
    }
    guard let best else { return nil }
    taken += 1
    return lines[best.line].entries.removeFirst().work
  }

  /// Removes all items.
  mutating func removeAll() {
    for line in lines.indices { lines[line].entries.removeAll() }
  }
}
