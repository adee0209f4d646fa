// SPDX-License-Identifier: Apache-2.0

/// What the store holds for the peer, as far as a session knows.
struct HeldStates {
  private(set) var pair: RatchetPair
  /// The revision of the peer's row when the session read it.
  let revision: UInt64
  /// When the last swap was asked for that changed what the store holds for the peer.
  private(set) var lastSwap: PeerDirectory.Mark
  /// When the swap was asked for that the session waits for.
  private var pendingSwap: PeerDirectory.Mark

  /// What was read from the peer's row, or put there by the swap of a mark.
  init(_ pair: RatchetPair, revision: UInt64, swap: PeerDirectory.Mark = .first) {
    self.pair = pair
    self.revision = revision
    (lastSwap, pendingSwap) = (swap, swap)
  }

  /// How an answer of the store to a swap is taken (section 9).
  enum Outcome {
    case swapped
    /// Another instance has changed the row first.
    // [RAT-8]
    case conflict
    /// Nothing may be concluded; the peer sends its packet again.
    // [RAT-9]
    case failed

    init(_ answer: StoreAnswer) {
      switch answer {
      case .swapped: self = .swapped
      case .notSwapped: self = .conflict
      default: self = .failed
      }
    }
  }

  /// Asks the store to replace what is held.
  ///
  /// - Parameter start: the revision at which the attempt began; nil if that does not matter.
  mutating func swap(
    to new: RatchetPair, since start: UInt64? = nil, of peer: PublicKey, _ directory: PeerDirectory
  ) -> Action {
    pendingSwap = directory.nextMark()
    return .ask(.compareAndSwap(peer: peer, expected: pair, new: new, since: start))
  }

  /// Asks the store to replace what is held, on behalf of a session whose peer has proved that it goes on. The row may hold
  /// the outcome before the answer comes, and an X3 that is judged by that row must be judged by this too.
  mutating func swapOnProof(
    to new: RatchetPair, since start: UInt64? = nil, of peer: PublicKey, _ surroundings: Surroundings, at now: Instant
  ) -> Action {
    let action = swap(to: new, since: start, of: peer, surroundings.directory)
    surroundings.directory.recordProgress(
      pendingSwap, isDone: false, of: peer, at: now, lifetime: surroundings.settings.handshakeTimeout)
    return action
  }

  /// Asks the store to drop the older state: the peer has the new one too.
  mutating func dropOlder(of peer: PublicKey, _ surroundings: Surroundings, at now: Instant) -> Action {
    swapOnProof(to: RatchetPair(pair.state1), of: peer, surroundings, at: now)
  }

  // [DEC-12]
  /// The store holds the new pair.
  mutating func swapped(to new: RatchetPair) {
    pair = new
    lastSwap = pendingSwap
  }

  /// The store has dropped the older state.
  mutating func droppedOlder() { swapped(to: RatchetPair(pair.state1)) }

  /// Records that the session is established, or went on, by its last swap.
  func recordProgress(of peer: PublicKey, _ surroundings: Surroundings, at now: Instant) {
    surroundings.directory.recordProgress(
      lastSwap, isDone: true, of: peer, at: now, lifetime: surroundings.settings.handshakeTimeout)
  }
}
