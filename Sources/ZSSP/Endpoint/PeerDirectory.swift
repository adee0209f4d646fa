// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The knowledge that the shards of one endpoint share about sessions with each peer. A single
/// endpoint has its own directory.
///
/// Attempts to open a session, acceptances and re-keys of one peer can meet in different shards.
/// The outcome must not depend on how fast messages pass between shards. So the facts that decide
/// are stored here, under a lock, which data packets never take:
///
/// * the **order of events**: a counter that gives each X2 and each swap a mark;
/// * the **progress** of each peer: the marks of the last swap that an established session
///   requested, and of the last one that was done. An X3 whose X2 has an older mark is refused
///   (section 14), because it belongs to an attempt that the peer has abandoned;
/// * the mark of the last X2 **read** from a peer that was based on a state: such a peer has not
///   lost its states;
/// * the **names** of states that a store may be storing at present: a Hello that names one is not
///   a stranger's;
/// * the names of states that **unknown** peers have abandoned, for which a store keeps no row;
/// * **attempts** of this side, with the time of their X3 and a mark if one was not answered in
///   time;
/// * the newest **session** of each peer, if the transport records it.
///
/// All methods can be called on any thread.
public final class PeerDirectory: Sendable {
  /// A session in a shard.
  public struct Place: Sendable, Hashable {
    /// The shard's ``Shard/index``.
    public let shard: Int
    /// The session.
    public let session: SessionID

    /// Creates the place of a session.
    public init(shard: Int, session: SessionID) {
      self.shard = shard
      self.session = session
    }
  }

  private let state = Mutex(State())

  /// Creates an empty directory.
  public init() {}

  // MARK: For the transport

  /// Returns the shard where this side should open a session to a peer: the one that has a session
  /// or an attempt. Nil if none has.
  public func shard(for peer: PublicKey) -> Int? {
    state.withLock { state in state.entries[peer].flatMap { ($0.session ?? $0.attempts.first?.place)?.shard } }
  }

  /// Records that a session is established. Shards may record their sessions in another order than
  /// the peer opened them.
  ///
  /// - Returns: the session and the attempts that it replaces. If a newer session with the peer is
  ///   recorded, which replaces it, `place` alone.
  public func establish(_ place: Place, with peer: PublicKey) -> [Place] {
    state.withLock { state in
      state.update(peer) { entry in
        if entry.hasNewer(than: place) { return [place] }
        let older = [entry.session].compactMap(\.self) + entry.attempts.map(\.place)
        entry.session = place
        return older.filter { $0 != place }
      }
    }
  }

  /// Records that a session has ended.
  public func end(_ place: Place, with peer: PublicKey) {
    state.withLock { state in state.update(peer) { if $0.session == place { $0.session = nil } } }
  }

  /// The number of entries, of sessions and of marks, for tests.
  var entryCount: Int { state.withLock { $0.entries.count + $0.progress.count + $0.answers.count } }

  // MARK: For endpoints

  // [DEC-45]
  /// Takes the next mark.
  func nextMark() -> Mark { state.withLock { $0.takeMark() } }

  /// Records that this side has begun to open a session to a peer.
  func begin(_ place: Place, with peer: PublicKey) {
    state.withLock { state in state.update(peer) { $0.attempts.append(Attempt(place: place)) } }
  }

  /// Records when X3 of an attempt was sent; nil if the attempt restarts.
  func setCommitted(at time: Instant?, _ place: Place, with peer: PublicKey) {
    state.withLock { state in
      state.update(peer) { entry in
        guard let index = entry.attempts.firstIndex(where: { $0.place == place }) else { return }
        entry.attempts[index].committedAt = time
        entry.attempts[index].lastResend = .distantFuture
      }
    }
  }

  /// Records that an attempt led to a session or was abandoned, or that a session has ended.
  func finish(_ place: Place, with peer: PublicKey) {
    state.withLock { state in
      state.update(peer) { entry in
        entry.attempts.removeAll { $0.place == place }
        entry.established.removeAll { $0.place == place }
      }
    }
  }

  /// Records the swap that led to a session, before the transport learns of the session.
  func recordMark(_ mark: Mark, of place: Place, with peer: PublicKey) {
    state.withLock { state in
      state.update(peer) { $0.established.append(Established(place: place, mark: mark)) }
    }
  }

  /// Records that A3 of an attempt has timed out. The record is removed with the attempt.
  func recordUnanswered(_ place: Place, with peer: PublicKey) {
    state.withLock { state in
      state.update(peer) { entry in
        guard let index = entry.attempts.firstIndex(where: { $0.place == place }) else { return }
        entry.attempts[index].wasUnanswered = true
      }
    }
  }

  /// Prevents the attempts whose X3 was sent from resending it after `end`, because the peer's X3
  /// is about to be accepted.
  func limitResends(to peer: PublicKey, until end: Instant) {
    state.withLock { state in
      state.update(peer) { entry in
        for index in entry.attempts.indices where entry.attempts[index].committedAt != nil {
          entry.attempts[index].lastResend = min(entry.attempts[index].lastResend, end)
        }
      }
    }
  }

  /// Returns true if an attempt may resend its X3.
  func mayResend(_ place: Place, to peer: PublicKey, at now: Instant) -> Bool {
    state.withLock { state in
      state.entries[peer]?.attempts.first { $0.place == place }.map { now <= $0.lastResend } ?? true
    }
  }

  /// Returns the facts about the attempts to open a session to the peer whose X3 may have been
  /// sent; nil if there are none.
  ///
  /// - Returns: when the latest X3 was sent, and true if each of the attempts had an earlier X3
  ///   that was not answered in time.
  func committedAttempt(to peer: PublicKey) -> (time: Instant, wasUnanswered: Bool)? {
    state.withLock { state in
      let committed = state.entries[peer]?.attempts.filter { $0.committedAt != nil } ?? []
      guard let time = committed.compactMap(\.committedAt).max() else { return nil }
      return (time, committed.allSatisfy(\.wasUnanswered))
    }
  }

  // [DEC-47]
  /// Records the swap that has `mark`, of an established session: that it was requested, or was
  /// done.
  ///
  /// - Parameters:
  ///   - mark: the mark of the swap.
  ///   - isDone: true if the swap was done, false if it was requested.
  ///   - peer: the peer of the session.
  ///   - now: the present time.
  ///   - lifetime: how long an X3 may follow its X2. Older marks are forgotten.
  func recordProgress(_ mark: Mark, isDone: Bool, of peer: PublicKey, at now: Instant, lifetime: Duration) {
    state.withLock { state in
      state.progress.update(peer, from: Progress(), at: now, lifetime: lifetime) { progress in
        progress.requested = max(progress.requested, mark)
        if isDone { progress.done = max(progress.done, mark) }
      }
    }
  }

  /// Records that an X2 of the peer was read that is based on a state other than the empty one.
  ///
  /// - Parameters:
  ///   - peer: the peer that sent the X2.
  ///   - now: the present time.
  ///   - lifetime: how long an X3 may follow its X2. Older marks are forgotten.
  func recordAnswer(of peer: PublicKey, at now: Instant, lifetime: Duration) {
    state.withLock { state in
      let mark = state.takeMark()
      state.answers.update(peer, from: mark, at: now, lifetime: lifetime) { $0 = mark }
    }
  }

  /// Returns the mark of the last X2 of the peer that was based on a state, or ``Mark/first`` if it
  /// was forgotten.
  func lastAnswer(of peer: PublicKey) -> Mark { state.withLock { $0.answers[peer] ?? .first } }

  /// Returns the mark of the last swap that an established session with the peer requested, or
  /// ``Mark/first`` if it was forgotten.
  func requestedProgress(of peer: PublicKey) -> Mark {
    state.withLock { state in state.progress[peer]?.requested ?? .first }
  }

  /// Records that the store was requested to store the state of this name, or that it has answered.
  /// Until `end` a look-up may be running that began before.
  func recordStoring(_ name: Fingerprint, until end: Instant, at now: Instant) {
    state.withLock { _ = $0.storing.insert(name, until: end, at: now) }
  }

  /// Records that the store has not stored the state of this name, and never will.
  func endStoring(_ name: Fingerprint) { state.withLock { _ = $0.storing.remove(name) } }

  // [DEC-71]
  /// Returns true if the store may be storing the state of this name, or has just stored it.
  func isStoring(_ name: Fingerprint, at now: Instant) -> Bool { state.withLock { $0.storing.contains(name, at: now) } }

  // [DEC-65]
  /// Records that a peer without a row continues without the state of this name.
  ///
  /// - Returns: true if there was room; if not, the Hello that names the state must not be
  ///   answered.
  func leaveBehind(_ name: Fingerprint, until end: Instant, at now: Instant) -> Bool {
    name.isEmpty || state.withLock { $0.leftBehind.insert(name, until: end, at: now) }
  }

  /// Returns true if a peer without a row has abandoned the state of this name.
  func isLeftBehind(_ name: Fingerprint, at now: Instant) -> Bool {
    state.withLock { $0.leftBehind.contains(name, at: now) }
  }

  /// Returns the mark of the last swap of an established session with the peer, or ``Mark/first``
  /// if it was forgotten.
  func progress(of peer: PublicKey) -> Mark {
    state.withLock { state in state.progress[peer]?.done ?? .first }
  }
}
