// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// What the shards of one endpoint know of each other's sessions with a peer. An endpoint that is the only one has a
/// directory of its own.
///
/// Attempts to open a session, acceptances and re-keys of one peer can meet in different shards. What decides between them
/// must not depend on how fast a message passes from one to the other, so it is kept here, under a lock, and never for a data packet:
///
/// * the **order of events**: a counter from which each X2 and each swap takes a mark;
/// * the **progress** of each peer: the marks of the last swap that an established session asked for, and of the last one that was
///   done. An X3 whose X2 has an older mark is refused (section 14): it belongs to an attempt that the peer has left behind;
/// * the mark of the last X2 **read** from a peer that was based on a state: such a peer has not lost its states;
/// * the **names** of states that a store may be taking at this moment: a Hello that names one is no stranger's;
/// * the names of states that **strangers** have left behind, of whom no store can remember anything;
/// * **attempts** of this side, whether their X3 may be out, and whether one went unanswered;
/// * the newest **session** of each peer, where the transport records it.
///
/// All methods can be called on any thread.
public final class PeerDirectory: Sendable {
  /// A session in a shard.
  public struct Place: Sendable, Hashable {
    /// The shard's ``Shard/index``.
    public let shard: Int
    /// The session.
    public let session: SessionID

    /// The place of a session.
    public init(shard: Int, session: SessionID) { (self.shard, self.session) = (shard, session) }
  }

  /// A point in the order of events.
  struct Mark: Sendable, Hashable, Comparable {
    fileprivate let value: UInt64

    /// Before every event.
    static let first = Mark(value: 0)

    static func < (left: Mark, right: Mark) -> Bool { left.value < right.value }
  }

  private struct Attempt {
    let place: Place
    /// When X3 left, if it did.
    var committedAt: Instant?
    /// Whether an earlier X3 of the attempt was not answered before A3 timed out.
    var wasUnanswered = false
    /// When X3 may be sent again at the latest.
    var lastResend = Instant.distantFuture
  }

  /// A session that an endpoint has established, and the mark of the swap that it came from.
  private struct Established {
    let place: Place
    let mark: Mark
  }

  private struct Entry {
    var session: Place?
    var established: [Established] = []
    var attempts: [Attempt] = []
    var requested = Mark.first
    var progress = Mark.first
    var answer = Mark.first
    /// When one of these marks was recorded last.
    var lastRecord = Instant(nanoseconds: .min)

    var isEmpty: Bool {
      session == nil && established.isEmpty && attempts.isEmpty && requested == .first && progress == .first
        && answer == .first
    }

    /// The mark of a session that has not ended; nil of others.
    func mark(of place: Place) -> Mark? { established.first { $0.place == place }?.mark }

    /// Whether the session that was recorded last is newer than this one.
    func hasNewer(than place: Place) -> Bool {
      guard let session, session != place, let newest = mark(of: session) else { return false }
      return mark(of: place).map { $0 < newest } ?? true
    }
  }

  private struct Progress {
    let peer: PublicKey
    let time: Instant
  }

  private struct State {
    var entries: [PublicKey: Entry] = [:]
    var lastMark = Mark.first
    /// The oldest first.
    var progress = Queue<Progress>()
    var storing = RecentNames()
    var leftBehind = RecentNames()

    mutating func takeMark() -> Mark {
      lastMark = Mark(value: lastMark.value + 1)
      return lastMark
    }

    mutating func update<Result>(_ peer: PublicKey, _ change: (inout Entry) -> Result) -> Result {
      var entry = entries[peer] ?? Entry()
      let result = change(&entry)
      entries[peer] = entry.isEmpty ? nil : entry
      return result
    }
  }

  private let state = Mutex(State())

  /// An empty directory.
  public init() {}

  // MARK: For the transport

  /// Returns the shard where this side should open a session to a peer: where it has one, or tries to; nil if nowhere.
  public func shard(for peer: PublicKey) -> Int? {
    state.withLock { state in state.entries[peer].flatMap { ($0.session ?? $0.attempts.first?.place)?.shard } }
  }

  /// Records that a session is established. Shards may record theirs in another order than that in
  /// which the peer opened them.
  ///
  /// - Returns: the session and the attempts that it takes the place of; `place` alone if a newer
  ///   session with the peer is recorded, which takes its place.
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

  /// How many peers the directory knows something of.
  var entryCount: Int { state.withLock { $0.entries.count } }

  // MARK: For endpoints

  // [DEC-45]
  /// Takes the next mark.
  func nextMark() -> Mark { state.withLock { $0.takeMark() } }

  /// Records that this side tries to open a session to a peer.
  func begin(_ place: Place, with peer: PublicKey) {
    state.withLock { state in state.update(peer) { $0.attempts.append(Attempt(place: place)) } }
  }

  /// Records when X3 of an attempt left; nil if the attempt begins anew.
  func setCommitted(at time: Instant?, _ place: Place, with peer: PublicKey) {
    state.withLock { state in
      state.update(peer) { entry in
        guard let index = entry.attempts.firstIndex(where: { $0.place == place }) else { return }
        entry.attempts[index].committedAt = time
        entry.attempts[index].lastResend = .distantFuture
      }
    }
  }

  /// Records that an attempt has led to a session, or to none, or that a session has ended.
  func finish(_ place: Place, with peer: PublicKey) {
    state.withLock { state in
      state.update(peer) { entry in
        entry.attempts.removeAll { $0.place == place }
        entry.established.removeAll { $0.place == place }
      }
    }
  }

  /// Records the swap that a session came from, before the transport learns of the session.
  func recordMark(_ mark: Mark, of place: Place, with peer: PublicKey) {
    state.withLock { state in
      state.update(peer) { $0.established.append(Established(place: place, mark: mark)) }
    }
  }

  /// Records that A3 of an attempt has timed out. The record ends with the attempt.
  func recordUnanswered(_ place: Place, with peer: PublicKey) {
    state.withLock { state in
      state.update(peer) { entry in
        guard let index = entry.attempts.firstIndex(where: { $0.place == place }) else { return }
        entry.attempts[index].wasUnanswered = true
      }
    }
  }

  /// Has the attempts whose X3 is out not send it again after `end`, because the peer's X3 is about
  /// to be taken.
  func limitResends(to peer: PublicKey, until end: Instant) {
    state.withLock { state in
      state.update(peer) { entry in
        for index in entry.attempts.indices where entry.attempts[index].committedAt != nil {
          entry.attempts[index].lastResend = min(entry.attempts[index].lastResend, end)
        }
      }
    }
  }

  /// Returns whether an attempt may send its X3 again.
  func mayResend(_ place: Place, to peer: PublicKey, at now: Instant) -> Bool {
    state.withLock { state in
      state.entries[peer]?.attempts.first { $0.place == place }.map { now <= $0.lastResend } ?? true
    }
  }

  /// Returns what is known of the attempts to open a session to the peer whose X3 may be out; nil
  /// if none may be.
  ///
  /// - Returns: when the latest X3 left, and whether each of the attempts had an X3 before that was
  ///   not answered in time.
  func committedAttempt(to peer: PublicKey) -> (time: Instant, wasUnanswered: Bool)? {
    state.withLock { state in
      let committed = state.entries[peer]?.attempts.filter { $0.committedAt != nil } ?? []
      guard let time = committed.compactMap(\.committedAt).max() else { return nil }
      return (time, committed.allSatisfy(\.wasUnanswered))
    }
  }

  // [DEC-47]
  /// Records the swap that took `mark`, of a session that is established: that it was asked for, or was done.
  ///
  /// - Parameter lifetime: how long an X3 may follow its X2. What is older is forgotten.
  func recordProgress(_ mark: Mark, isDone: Bool, of peer: PublicKey, at now: Instant, lifetime: Duration) {
    record(peer, at: now, lifetime: lifetime) { entry, _ in
      entry.requested = max(entry.requested, mark)
      if isDone { entry.progress = max(entry.progress, mark) }
    }
  }

  /// Records that an X2 of the peer was read that is based on a state, not on the empty one.
  ///
  /// - Parameter lifetime: how long an X3 may follow its X2. What is older is forgotten.
  func recordAnswer(of peer: PublicKey, at now: Instant, lifetime: Duration) {
    record(peer, at: now, lifetime: lifetime) { entry, mark in entry.answer = mark }
  }

  /// Returns the mark of the last X2 of the peer that was based on a state, or ``Mark/first`` if that is long ago.
  func lastAnswer(of peer: PublicKey) -> Mark { state.withLock { $0.entries[peer]?.answer ?? .first } }

  /// Changes the marks of a peer, and forgets those that are older than `lifetime`.
  private func record(_ peer: PublicKey, at now: Instant, lifetime: Duration, _ change: (inout Entry, Mark) -> Void) {
    state.withLock { state in
      let mark = state.takeMark()
      state.update(peer) { entry in
        entry.lastRecord = max(entry.lastRecord, now)
        change(&entry, mark)
      }
      state.progress.push(Progress(peer: peer, time: now))
      while let oldest = state.progress.first, oldest.time.advanced(by: lifetime) < now {
        _ = state.progress.popFromLong()
        state.update(oldest.peer) { entry in
          guard entry.lastRecord.advanced(by: lifetime) < now else { return }
          (entry.requested, entry.progress, entry.answer) = (.first, .first, .first)
        }
      }
    }
  }

  /// Returns the mark of the last swap that an established session with the peer asked for, or ``Mark/first`` if that is long ago.
  func requestedProgress(of peer: PublicKey) -> Mark {
    state.withLock { state in state.entries[peer]?.requested ?? .first }
  }

  /// Records that the store is asked to take the state of this name, or that it has answered: until `end` a look-up may be under
  /// way that began before.
  func recordStoring(_ name: Fingerprint, until end: Instant, at now: Instant) {
    state.withLock { _ = $0.storing.insert(name, until: end, at: now) }
  }

  /// Records that the store has not taken the state of this name, and never will.
  func endStoring(_ name: Fingerprint) { state.withLock { $0.storing.remove(name) } }

  // [DEC-71]
  /// Returns whether the store may be taking the state of this name, or have taken it just now.
  func isStoring(_ name: Fingerprint, at now: Instant) -> Bool { state.withLock { $0.storing.contains(name, at: now) } }

  // [DEC-65]
  /// Records that a peer of whom nothing is known goes on without the state of this name.
  ///
  /// - Returns: whether there was room; if not, the Hello that names it must not be answered.
  func leaveBehind(_ name: Fingerprint, until end: Instant, at now: Instant) -> Bool {
    name.isEmpty || state.withLock { $0.leftBehind.insert(name, until: end, at: now) }
  }

  /// Returns whether the state of this name was left behind by a peer of whom nothing was known.
  func isLeftBehind(_ name: Fingerprint, at now: Instant) -> Bool {
    state.withLock { $0.leftBehind.contains(name, at: now) }
  }

  /// Returns the mark of the last swap of an established session with the peer, or ``Mark/first`` if that is long ago.
  func progress(of peer: PublicKey) -> Mark {
    state.withLock { state in state.entries[peer]?.progress ?? .first }
  }
}
