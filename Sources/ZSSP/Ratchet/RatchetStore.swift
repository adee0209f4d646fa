// SPDX-License-Identifier: Apache-2.0

/// A request of an endpoint to the store of ratchet states (section 9).
///
/// An answer may arrive late or out of order, be ``StoreAnswer/failed``, or never arrive; the
/// endpoint handles each case. Requests about one peer must take effect in the order in which the
/// endpoint made them.
public enum StoreRequest: Sendable {
  // [RAT-3]
  /// Finds the state with the first fingerprint, or with the second if the first is unknown or
  /// empty, and the peer it belongs to. Both are looked up at one moment: no swap takes effect
  /// between them. Answer ``StoreAnswer/found(_:peer:)`` or ``StoreAnswer/unknown``. The empty
  /// fingerprint is never found.
  case lookUp(Fingerprint, second: Fingerprint = .empty)
  // [RAT-4]
  /// Reads the row of this peer. Answer ``RatchetRow/answer``: ``RatchetPair/empty`` for a peer
  /// without a row.
  case load(peer: PublicKey)
  // [RAT-5] [RAT-6]
  /// Replaces the peer's pair by `new` if it equals `expected` (by fingerprints and chain lengths)
  /// and ``RatchetRow/swap(expected:new:since:)`` allows it. Answer ``StoreAnswer/swapped``, after
  /// the new pair is durable, or ``StoreAnswer/notSwapped``. `since` is the revision at which the
  /// attempt began that leads to `new`; nil if it does not matter.
  case compareAndSwap(peer: PublicKey, expected: RatchetPair, new: RatchetPair, since: UInt64? = nil)
  // [DEC-63]
  /// Revokes the state of this name (section 14): no later swap may add it to the peer's row. A
  /// state that the row holds is not revoked. Answer ``RatchetRow/answer``, after the revocation is
  /// durable.
  case revoke(Fingerprint, peer: PublicKey)

  /// The peer that the request is about; nil for a look-up, whose answer names the peer.
  public var peer: PublicKey? {
    switch self {
    case .lookUp: nil
    case .load(let peer), .compareAndSwap(let peer, _, _, _), .revoke(_, let peer): peer
    }
  }
}

/// The answer to a ``StoreRequest``.
public enum StoreAnswer: Sendable {
  /// The state with the requested fingerprint, and the peer that it is stored for.
  case found(RatchetState, peer: PublicKey)
  /// No state has a requested fingerprint.
  case unknown
  /// The peer's pair, and the ``RevokedStates/revision`` of its row; 0 for a peer without a row.
  case pair(RatchetPair, revision: UInt64 = 0)
  /// The new pair is stored durably.
  case swapped
  /// The store keeps the old pair: it differs from the expected one, or the new pair has a state
  /// that was or may have been revoked.
  case notSwapped
  /// The store could not execute the request. Nothing may be concluded about what it holds.
  case failed
}

/// A store of ratchet states (section 9 of the specification): a file, a database, or a cluster.
///
/// ## The contract
///
/// For each peer a store holds one ``RatchetRow``: a ``RatchetPair``, which is
/// ``RatchetPair/empty`` for an unknown peer, and the ``RevokedStates`` of that peer. The methods
/// of the row implement the rules for one peer.
///
/// * A **swap** compares the stored pair with the expected one, by fingerprints and chain lengths
///   and never by key, and replaces it by the new pair: entirely or not at all. A missing second
///   state differs from an empty one. Of several swaps that expect the same pair exactly one is
///   ``StoreAnswer/swapped``. The new pair is durable before the answer: no later crash or loss of
///   power brings the old pair back.
/// * A **revoked** name stays revoked as long as the peer has a row. A swap that adds the state of
///   that name is ``StoreAnswer/notSwapped``. So is a swap that adds a state if more than
///   ``RevokedStates/limit`` names were revoked since its attempt began. A state that the row holds
///   is not revoked. Nothing is remembered of a peer without a row.
/// * A **load** or **look-up** that is requested after a swap was answered sees that swap. It
///   always sees a whole pair.
/// * A **look-up** finds the states that are stored now, first or second, and neither a replaced
///   state nor the empty one. Its two fingerprints are looked up at one moment: if a swap replaces
///   the state of one by the state of the other, the look-up finds one of them.
/// * **Replaced keys** are erased, as well as the medium can. A swap to ``RatchetPair/empty``
///   leaves nothing of the peer.
/// * When the **medium fails**, the answer is ``StoreAnswer/failed``, never one that says something
///   about the stored data. A failed swap may or may not have taken effect. What the store says
///   about the pair later must stay true, also after a crash. When the medium works again, so does
///   the store.
///
/// Several tasks may make requests at once, also about one peer. Each request takes effect at one
/// moment and as a whole. An endpoint makes a request about a peer only when it has the answer to
/// its previous one, or has stopped waiting for it. Endpoints may share a store, for different
/// peers or for the same.
///
/// ## Requests that take too long
///
/// The transport limits how long it waits (`UDPOptions.storeTimeout` in `ZSSPNIO`). When a request
/// exceeds the limit, the endpoint receives ``StoreAnswer/failed``, the task of the request is
/// cancelled, and later requests about the same peer are made although it may still be running. It
/// is then like a request of another endpoint that shares the store:
///
/// * It may take effect at any later moment, or never; but at one moment and as a whole. A swap
///   compares with the pair that is stored **at that moment**, however long it has waited, so it
///   does nothing after a later swap took effect. If a late swap follows an endpoint's load, the
///   loaded pair is no longer stored, and the endpoint's own swap is then
///   ``StoreAnswer/notSwapped``.
/// * A store that notices the cancellation may stop and answer ``StoreAnswer/failed``. A store that
///   cannot stop without leaving something half done continues to the end. The answer is not used.
/// * A store answers each request eventually. The number of running requests is limited
///   (`UDPOptions.storeQueue`), and a request that is never answered counts until the process ends.
///
/// Keys stay in `Secret`s as far as the medium allows, and never serve as an index. Anybody can
/// cause a look-up by fingerprint by replaying recorded datagrams, so its time must not reveal more
/// than found or not found.
///
/// `ZSSPStoreTesting` has these rules as test cases to run against a store.
public protocol RatchetStore: Sendable {
  /// Executes a request, and returns when it is done.
  ///
  /// Several tasks may call this at once.
  ///
  /// - Returns: the answer; ``StoreAnswer/failed`` if the request cannot be executed.
  func answer(_ request: StoreRequest) async -> StoreAnswer
}
