// SPDX-License-Identifier: Apache-2.0

/// What an endpoint asks of the store of ratchet states (section 9).
///
/// Answers may come late, out of order, fail, or never come; the endpoint copes. Requests about one peer must take
/// effect in the order in which the endpoint made them.
public enum StoreRequest: Sendable {
  /// Which state has this fingerprint, and whose is it? Answer ``StoreAnswer/found(_:peer:)`` or ``StoreAnswer/unknown``.
  case lookUp(Fingerprint)
  /// What is stored for this peer? Answer ``StoreAnswer/pair(_:)``, ``RatchetPair/empty`` for a peer without a row.
  case load(peer: PublicKey)
  /// If what is stored for the peer equals `expected` (by fingerprints and chain lengths), replace it by `new`, durably,
  /// before the answer: ``StoreAnswer/swapped`` or ``StoreAnswer/notSwapped``.
  case compareAndSwap(peer: PublicKey, expected: RatchetPair, new: RatchetPair)
  /// The peer has given up the state of this name (section 14): from now on no swap may bring it into the peer's row.
  /// Answer ``StoreAnswer/pair(_:)`` with what is held, durably before the answer; if that holds the state, it is not given up.
  case giveUp(Fingerprint, peer: PublicKey)

  /// Whom the request is about; nil for a look-up, whose answer says so.
  public var peer: PublicKey? {
    switch self {
    case .lookUp: nil
    case .load(let peer), .compareAndSwap(let peer, _, _), .giveUp(_, let peer): peer
    }
  }
}

/// The answer to a ``StoreRequest``.
public enum StoreAnswer: Sendable {
  /// The state with the fingerprint asked for, and the peer that it is stored for.
  case found(RatchetState, peer: PublicKey)
  /// No state has this fingerprint.
  case unknown
  /// What is stored for the peer.
  case pair(RatchetPair)
  /// The new pair is stored, durably.
  case swapped
  /// Something else than expected was stored, and still is; or the new pair has a state that was given up.
  case notSwapped
  /// The store could not do it. Nothing may be concluded about what it holds.
  case failed
}

/// Where ratchet states are kept (section 9 of the specification): a file, a database, a cluster.
///
/// # The contract
///
/// For each peer a store holds one ``RatchetPair``, and ``RatchetPair/empty`` for each that it knows nothing of; and with it the
/// latest ``GivenUpStates``. A ``RatchetRow`` is both, and knows what becomes of it.
///
/// * A **swap** compares what is held with what is expected, by fingerprints and chain lengths and never by key, and
///   replaces it by the new pair: both or nothing. Whether the second state is missing or the empty one makes a
///   difference. Of several swaps that expect the same pair exactly one is ``StoreAnswer/swapped``. What was swapped is
///   durable before the answer: no crash and no loss of power after it brings the old pair back.
/// * A name that was **given up** stays so as long as the peer has a row, and at least until ``GivenUpStates/limit`` others
///   came after it. A swap that brings in the state of that name is ``StoreAnswer/notSwapped``. A state that is held stays, and
///   of a peer without a row nothing is remembered.
/// * A **load** or **look-up** that is asked after a swap was answered sees that swap, and a pair is always seen whole.
/// * A **look-up** finds the states that are held now, in either place, and neither one that was replaced nor the empty one.
/// * **Replaced keys** are erased, as well as the medium can. A swap to ``RatchetPair/empty`` leaves nothing of the peer.
/// * When the **medium fails**, the answer is ``StoreAnswer/failed``, never one that says something about what is
///   held. A swap that failed may have taken effect or not; what the store says about the pair later must stay true,
///   also after a crash. A store whose medium works again works again.
///
/// Requests may come from several tasks at once, also about one peer; an endpoint asks about one peer only when it has
/// the answer to its question before. A store may be shared between endpoints, for several peers or for the same.
///
/// Keys stay in `Secret`s as far as the medium allows, and never serve as an index. A look-up by fingerprint is caused by
/// datagrams that anybody can have recorded and sent again, so its time must not tell more than found or not found.
///
/// `ZSSPStoreTesting` has these rules as cases to run against a store.
public protocol RatchetStore: Sendable {
  /// Does what is asked, and answers when it is done. ``StoreAnswer/failed`` if that is not possible.
  func answer(_ request: StoreRequest) async -> StoreAnswer
}
