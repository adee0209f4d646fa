// SPDX-License-Identifier: Apache-2.0

/// The states that the store holds for the peer, as far as a session knows.
struct HeldStates {
  private(set) var pair: RatchetPair
  /// The revision of the peer's row when the session read it.
  let revision: UInt64
  /// The mark of the last swap that changed the peer's row.
  private(set) var lastSwap: PeerDirectory.Mark
  /// The mark of the swap that the session waits for.
  private var pendingSwap: PeerDirectory.Mark

  /// Creates the states that were read from the peer's row, or that the swap with a mark put there.
  init(_ pair: RatchetPair, revision: UInt64, swap: PeerDirectory.Mark = .first) {
    self.pair = pair
    self.revision = revision
    lastSwap = swap
    pendingSwap = swap
  }

  /// The outcome of a swap, from the answer of the store (section 9).
  enum Outcome {
    case swapped
    /// Another session with the same peer has changed the row first.
    // [RAT-8]
    case conflict
    /// The outcome is unknown; the peer resends its packet.
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

  /// Requests that the store replaces the pair.
  ///
  /// - Parameters:
  ///   - new: the new pair.
  ///   - start: the revision at which the attempt began; nil if it does not matter.
  ///   - peer: the peer of the row.
  mutating func swap(
    to new: RatchetPair, since start: UInt64? = nil, of peer: PublicKey, _ directory: PeerDirectory
  ) -> Action {
    pendingSwap = directory.nextMark()
    return .ask(.compareAndSwap(peer: peer, expected: pair, new: new, since: start))
  }

  /// Requests that the store replaces the pair, for a session whose peer has proved that it
  /// continues. The row may hold the outcome before the answer arrives. So the mark is recorded
  /// now, and decides on an X3 as the row would.
  mutating func swapOnProof(
    to new: RatchetPair, since start: UInt64? = nil, of peer: PublicKey, in surroundings: Surroundings, at now: Instant
  ) -> Action {
    let action = swap(to: new, since: start, of: peer, surroundings.directory)
    surroundings.directory.recordProgress(
      pendingSwap, isDone: false, of: peer, at: now, lifetime: surroundings.settings.handshakeTimeout)
    return action
  }

  /// Requests that the store drops the older state, because the peer has the new one too.
  mutating func dropOlder(of peer: PublicKey, in surroundings: Surroundings, at now: Instant) -> Action {
    swapOnProof(to: RatchetPair(pair.state1), of: peer, in: surroundings, at: now)
  }

  // [DEC-12]
  /// Records that the store holds the new pair.
  mutating func swapped(to new: RatchetPair) {
    pair = new
    lastSwap = pendingSwap
  }

  /// Records that the store has dropped the older state.
  mutating func droppedOlder() { swapped(to: RatchetPair(pair.state1)) }

  /// Records that the session was established or continued by its last swap.
  func recordProgress(of peer: PublicKey, in surroundings: Surroundings, at now: Instant) {
    surroundings.directory.recordProgress(
      lastSwap, isDone: true, of: peer, at: now, lifetime: surroundings.settings.handshakeTimeout)
  }
}
