// SPDX-License-Identifier: Apache-2.0

/// What an endpoint asks of the store of ratchet states (section 9).
///
/// Answers may come late, out of order, fail, or never come; the endpoint copes. Requests about one peer must take
/// effect in the order in which the endpoint made them.
public enum StoreRequest: Sendable {
  // [RAT-3]
  /// Finds the state with the first fingerprint, or, if that is unknown or empty, the one with the second, and whose it is.
  /// Both are looked up at one moment: no swap takes effect between them. Answer ``StoreAnswer/found(_:peer:)`` or
  /// ``StoreAnswer/unknown``; the empty fingerprint is never found.
  case lookUp(Fingerprint, second: Fingerprint = .empty)
  // [RAT-4]
  /// Reads what is stored for this peer. Answer ``RatchetRow/answer``: ``RatchetPair/empty`` for a peer without a row.
  case load(peer: PublicKey)
  // [RAT-5] [RAT-6]
  /// Replaces what is stored for the peer by `new` if it equals `expected` (by fingerprints and chain lengths) and
  /// ``RatchetRow/swap(expected:new:since:)`` allows it, durably, before the answer: ``StoreAnswer/swapped`` or
  /// ``StoreAnswer/notSwapped``. `since` is the revision at which the attempt began that leads to `new`, nil if that does not matter.
  case compareAndSwap(peer: PublicKey, expected: RatchetPair, new: RatchetPair, since: UInt64? = nil)
  // [DEC-63]
  /// Revokes the state of this name (section 14): from now on no swap may bring it into the peer's row. Answer
  /// ``RatchetRow/answer``, durably before the answer; a state that is held is not revoked.
  case revoke(Fingerprint, peer: PublicKey)

  /// The peer that the request is about; nil for a look-up, whose answer says so.
  public var peer: PublicKey? {
    switch self {
    case .lookUp: nil
    case .load(let peer), .compareAndSwap(let peer, _, _, _), .revoke(_, let peer): peer
    }
  }
}

/// The answer to a ``StoreRequest``.
public enum StoreAnswer: Sendable {
  /// The state with the fingerprint asked for, and the peer that it is stored for.
  case found(RatchetState, peer: PublicKey)
  /// No state has a fingerprint that was asked for.
  case unknown
  /// What is stored for the peer, and the ``RevokedStates/revision`` of its row; 0 for a peer without one.
  case pair(RatchetPair, revision: UInt64 = 0)
  /// The new pair is stored, durably.
  case swapped
  /// Something else than expected was stored, and still is; or the new pair has a state that was, or may have been, revoked.
  case notSwapped
  /// The store could not do it. Nothing may be concluded about what it holds.
  case failed
}

/// Where ratchet states are kept (section 9 of the specification): a file, a database, a cluster.
///
/// # The contract
///
/// For each peer a store holds one ``RatchetRow``: a ``RatchetPair``, which is ``RatchetPair/empty`` for each peer that it knows
/// nothing of, and the ``RevokedStates`` of that peer. The row knows what becomes of it.
///
/// * A **swap** compares what is held with what is expected, by fingerprints and chain lengths and never by key, and
///   replaces it by the new pair: both or nothing. Whether the second state is missing or the empty one makes a
///   difference. Of several swaps that expect the same pair exactly one is ``StoreAnswer/swapped``. What was swapped is
///   durable before the answer: no crash and no loss of power after it brings the old pair back.
/// * A name that was **revoked** stays so as long as the peer has a row. A swap that brings in the state of that name is
///   ``StoreAnswer/notSwapped``, and so is one that began before more than ``RevokedStates/limit`` later revocations. A state that is
///   held stays. Of a peer without a row nothing is remembered.
/// * A **load** or **look-up** that is asked after a swap was answered sees that swap, and a pair is always seen whole.
/// * A **look-up** finds the states that are held now, in either place, and neither one that was replaced nor the empty one. Its two
///   fingerprints are looked up at one moment: a swap that replaces the state of one by that of the other leaves one to find.
/// * **Replaced keys** are erased, as well as the medium can. A swap to ``RatchetPair/empty`` leaves nothing of the peer.
/// * When the **medium fails**, the answer is ``StoreAnswer/failed``, never one that says something about what is
///   held. A swap that failed may have taken effect or not; what the store says about the pair later must stay true,
///   also after a crash. A store whose medium works again works again.
///
/// Requests may come from several tasks at once, also about one peer, and each takes effect at one
/// moment, whole. An endpoint asks about one peer only when it has the answer to its question
/// before, or has stopped waiting for it. A store may be shared between endpoints, for several
/// peers or for the same.
///
/// # Requests that take too long
///
/// The transport bounds how long it waits (`UDPOptions.storeTimeout` in `ZSSPNIO`). A request that
/// is overtaken by its deadline is answered ``StoreAnswer/failed`` to the endpoint,
/// its task is cancelled, and later requests about the same peer are made although it may still be
/// under way. It is then like a request of another endpoint that shares the store:
///
/// * It may take effect at any later moment, or never; but at one moment, whole. A swap compares
///   with what is held **at that moment**, also if it has waited since long before, so that it does
///   nothing once a later swap has taken effect. What an endpoint loads before a swap that comes
///   late is no longer held after it, and its own swap is then ``StoreAnswer/notSwapped``.
/// * A store that notices the cancellation may stop, and answers ``StoreAnswer/failed``; one that
///   cannot stop without leaving half of something behind goes on to the end. The answer is not
///   used.
/// * A store answers each request in the end. Those under way are bounded
///   (`UDPOptions.storeQueue`), and one that is never answered keeps its place until the process
///   ends.
///
/// Keys stay in `Secret`s as far as the medium allows, and never serve as an index. A look-up by fingerprint is caused by
/// datagrams that anybody can have recorded and sent again, so its time must not tell more than found or not found.
///
/// `ZSSPStoreTesting` has these rules as cases to run against a store.
public protocol RatchetStore: Sendable {
  /// Does what is asked, and answers when it is done. ``StoreAnswer/failed`` if that is not possible.
  func answer(_ request: StoreRequest) async -> StoreAnswer
}
