// SPDX-License-Identifier: Apache-2.0

// Where sessions fit in no cache, a packet waits for memory a dozen times: for the session, then for the expanded keys that it names, or
// where it was idle for its key and then for the secrets of that key, each of which is only known when the one before has come. Processors fetch many places at once
// if they know of them. So the same steps are taken for many sessions together, each step for all of them: a read of one word
// from each line of memory that sending will need. Reads by references that are counted would wait for each other, hence
// `Unmanaged`: nothing is removed or released between taking such a reference and reading through it.

extension Endpoint {
  /// So many sessions are fetched at once. What they need fits in the cache nearest to the processor, with room to spare.
  private static let prefetchedAtOnce = 16

  /// How many sessions it makes sense to name in one call of ``prefetch(_:)``.
  public static var prefetchLimit: Int { prefetchedAtOnce }

  /// Has the memory of these sessions fetched, because messages to them are sent next.
  ///
  /// Nothing changes but time: with 100,000 sessions, and messages to one after another at random, a message takes less than half of
  /// what it takes otherwise. For sessions that were used just before it is lost effort, a few nanoseconds each.
  ///
  /// - Parameter ids: ``prefetchLimit`` sessions at most; of more the first are fetched. Sessions that have ended do no harm.
  public mutating func prefetch(_ ids: Span<SessionID>) {
    let count = min(ids.count, Self.prefetchedAtOnce)
    var read: UInt64 = 0
    for index in 0..<count {
      read &+= peers.sessions.peek(ids[index]) { $0.core.prefetch() } &+ peers.sessions.prefetchHead(ids[index])
    }
    read &+= memory.keys.prefetchNext(count) { $0.core.prefetch() }
    for index in 0..<count { read &+= peers.sessions.peek(ids[index]) { $0.core.keys.prefetchKeys() } }
    read &+= memory.keys.prefetchNext(count) { $0.core.keys.prefetchKeys() }
    for index in 0..<count { read &+= peers.sessions.peek(ids[index]) { $0.core.keys.prefetchSecrets() } }
    // A read whose result goes nowhere would not be done.
    memory.keys.keep(read: read)
  }
}

extension SessionTable {
  /// What `body` reads of a session, without counting a reference to it; 0 of one that is gone.
  @inline(__always)
  fileprivate func peek(_ id: SessionID, _ body: (Session) -> UInt64) -> UInt64 {
    guard let session = unsafe place(id) else { return 0 }
    return unsafe session._withUnsafeGuaranteedRef(body)
  }

  /// Reads from the line where a session begins: there its references are counted, whatever else of it is read.
  @inline(__always)
  fileprivate func prefetchHead(_ id: SessionID) -> UInt64 {
    // Every object begins with a word that is always there; what it says goes nowhere.
    unsafe place(id).map { unsafe UInt64(truncatingIfNeeded: $0.toOpaque().load(as: UInt.self)) } ?? 0
  }
}
