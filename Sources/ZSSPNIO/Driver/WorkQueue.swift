// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Public-key work that waits for a thread.
///
/// Steps of handshakes in which this side or the peer has proved something come first, then
/// re-keys, then what strangers can cause. Every eighth item is the one that has waited longest,
/// whatever it is, so no class waits for ever.
struct WorkQueue {
  private enum Rank: Int, CaseIterable { case handshakes, rekeys, strangers }

  private struct Entry {
    let work: PublicKeyWork
    let number: UInt64
  }

  private var ranks = Rank.allCases.map { _ in CircularBuffer<Entry>() }
  private var added: UInt64 = 0
  private var taken = 0

  /// One item of this number is taken by its age.
  private static let turn = 8

  /// The number of items.
  var count: Int { ranks.reduce(0) { $0 + $1.count } }

  /// Adds an item.
  mutating func append(_ work: PublicKeyWork) {
    added += 1
    ranks[Self.rank(of: work.kind).rawValue].append(Entry(work: work, number: added))
  }

  /// Removes and returns the next item.
  ///
  /// - Parameter isAlone: True if the thread has no other items. Proof of work is taken only then,
  ///   because it takes as long as many other items.
  /// - Returns: The item; nil if there is none, or if the next one must wait until the thread has
  ///   no other items.
  mutating func next(isAlone: Bool) -> PublicKeyWork? {
    let waiting = ranks.indices.filter { !ranks[$0].isEmpty }
    let isByAge = (taken + 1) % Self.turn == 0
    let oldest = waiting.min { (ranks[$0].first?.number ?? 0) < (ranks[$1].first?.number ?? 0) }
    guard let rank = isByAge ? oldest : waiting.first, let entry = ranks[rank].first else { return nil }
    guard isAlone || entry.work.kind != .proofOfWork else { return nil }
    ranks[rank].removeFirst()
    taken += 1
    return entry.work
  }

  /// Removes all items.
  mutating func removeAll() {
    for rank in ranks.indices { ranks[rank].removeAll() }
  }

  private static func rank(of kind: PublicKeyWork.Kind) -> Rank {
    switch kind {
    case .hello, .proofOfWork, .responseReceived, .completionReceived: .handshakes
    case .rekey, .rekeyReceived, .rekeyCompleted: .rekeys
    case .helloReceived, .response: .strangers
    }
  }
}
