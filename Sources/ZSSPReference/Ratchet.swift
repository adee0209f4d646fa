// SPDX-License-Identifier: Apache-2.0
public import ZSSP

// Section 9: ratchet states and their storage. The states are ZSSP's own values, so that stores can
// be shared and compared. The rules for them are written here.

extension RatchetState {
  /// The key, 32 bytes.
  var keyBytes: [UInt8] {
    let key = key
    return key.bytes.withUnsafeBytes { Array($0) }
  }

  /// Creates a state of derived bytes.
  init(key: [UInt8], fingerprint: [UInt8], chainLength: UInt64) {
    self.init(
      key: Secret(copying: key.span.bytes), fingerprint: Fingerprint(fingerprint.span.bytes),
      chainLength: chainLength)
  }
}

/// The error of a store: nothing may be concluded about what is stored.
public struct StoreFailure: Error {
  /// Creates the error.
  public init() {}
}

/// "For each remote peer the store holds (state1, state2 or none), initially (empty, none)."
public protocol ReferenceStore: AnyObject {
  // [RAT-3]
  /// *By fingerprint*: "the state and who it belongs to", of the first fingerprint that is known,
  /// at one moment (section 14). Returns nil if neither is known. The empty fingerprint is never
  /// found.
  ///
  /// - Throws: ``StoreFailure`` if the store fails.
  func state(_ first: Fingerprint, _ second: Fingerprint) throws(StoreFailure) -> (
    state: RatchetState, peer: PublicKey
  )?
  // [RAT-4]
  /// *By peer*: "the pair", and the revision of the row (section 14).
  ///
  /// - Throws: ``StoreFailure`` if the store fails.
  func row(_ peer: PublicKey) throws(StoreFailure) -> HeldRow
  // [RAT-5]
  /// *Compare-and-swap*: "swapped or not. Pairs are compared by fingerprint and chain length, never
  /// by key." Section 14: an attempt that began at revision `start` may not lead to a state that
  /// was, or may have been, revoked.
  ///
  /// - Returns: true if the pair was swapped.
  /// - Throws: ``StoreFailure`` if the store fails.
  func swap(
    of peer: PublicKey, from expected: RatchetPair, to new: RatchetPair, since start: UInt64?
  ) throws(StoreFailure) -> Bool
  /// *Revoke* (section 14): "from then on no swap brings the state of that name into the peer's
  /// row". Returns the row.
  ///
  /// - Throws: ``StoreFailure`` if the store fails.
  func revoke(of peer: PublicKey, name: Fingerprint) throws(StoreFailure) -> HeldRow
}

/// The row of a peer: the pair, and the number of all revocations (section 14).
public typealias HeldRow = (pair: RatchetPair, revision: UInt64)

/// Section 14: "The latest 256 are kept"; "where names were dropped since an attempt began, it is
/// refused".
struct Revocations {
  // [DEC-69]
  static let limit = 256
  private var all: [Fingerprint] = []

  var revision: UInt64 { UInt64(all.count) }

  mutating func insert(_ name: Fingerprint) {
    if !name.isEmpty, !all.suffix(Self.limit).contains(name) { all.append(name) }
  }

  // [DEC-69]
  func allow(_ name: Fingerprint, since start: UInt64) -> Bool {
    start <= revision && revision - start <= Self.limit && !all.suffix(Self.limit).contains(name)
  }
}

/// A store in memory, which is lost when the process ends.
public final class ReferenceMemoryStore: ReferenceStore {
  /// The pair of each peer.
  public var pairs: [PublicKey: RatchetPair]
  private var revoked: [PublicKey: Revocations] = [:]

  /// Creates a store that holds `pairs`.
  public init(_ pairs: [PublicKey: RatchetPair] = [:]) { self.pairs = pairs }

  /// Looks through all pairs.
  ///
  /// - Throws: nothing; memory does not fail.
  public func state(_ first: Fingerprint, _ second: Fingerprint) throws(StoreFailure) -> (
    state: RatchetState, peer: PublicKey
  )? {
    for fingerprint in [first, second] where !fingerprint.isEmpty {
      for (peer, pair) in pairs {
        for state in [pair.state1, pair.state2].compactMap(\.self) where state.fingerprint == fingerprint {
          return (state, peer)
        }
      }
    }
    return nil
  }

  /// Returns the row of `peer`.
  ///
  /// - Throws: nothing; memory does not fail.
  public func row(_ peer: PublicKey) throws(StoreFailure) -> HeldRow {
    // [RAT-2]
    (pairs[peer] ?? .empty, revoked[peer]?.revision ?? 0)
  }

  /// Compares and swaps. Returns true if the pair was swapped.
  ///
  /// - Throws: nothing; memory does not fail.
  public func swap(
    of peer: PublicKey, from expected: RatchetPair, to new: RatchetPair, since start: UInt64?
  ) throws(StoreFailure) -> Bool {
    let held = pairs[peer] ?? .empty
    let names = revoked[peer] ?? Revocations()
    // [RAT-5] [RAT-7]
    guard held == expected else { return false }
    for case .some(let state) in [new.state1, new.state2] where !state.isEmpty && !held.contains(state) {
      // [DEC-68]
      guard names.allow(state.fingerprint, since: start ?? names.revision) else { return false }
    }
    pairs[peer] = new
    return true
  }

  /// Revokes the name, unless the row holds that state.
  ///
  /// - Throws: nothing; memory does not fail.
  public func revoke(of peer: PublicKey, name: Fingerprint) throws(StoreFailure) -> HeldRow {
    let held = pairs[peer] ?? .empty
    if held.state1.fingerprint != name, held.state2?.fingerprint != name {
      revoked[peer, default: Revocations()].insert(name)
    }
    return try row(peer)
  }
}

extension ReferencePeer {
  /// "One-time password p: (rk, rf) = KBKDF(p, "ZSSP_OTP_TO_RATCHET", "", 2) cut to 32, chain
  /// length 1, stored as (that, none) on both sides before the first contact."
  public static func oneTimePassword(_ password: [UInt8], provider: any CryptoProvider) -> RatchetPair {
    // [KDF-2] [RAT-10]
    let outputs = Primitives(provider: provider).kbkdf(password, label: "ZSSP_OTP_TO_RATCHET", context: [], count: 2)
    return RatchetPair(
      RatchetState(key: Array(outputs[0][0..<32]), fingerprint: Array(outputs[1][0..<32]), chainLength: 1))
  }

  /// Section 6, X2: "Alice tries the psk in this order: rk1; rk2 if she has one; 0^32 unless flag
  /// π2 forbids it."
  func candidates(of pair: RatchetPair, flags: Flags) -> [RatchetState] {
    let held = [pair.state1] + (pair.state2.map { [$0] } ?? [])
    // [MODE-2] [XK-19]
    return held + (flags.initiatorDisallowsDowngrade || held.contains(.empty) ? [] : [.empty])
  }

  /// Section 6, X3: returns the states that Alice stores before X3 is sent, given the state that
  /// Bob used. "(new, the state used); her other state, if any, is dropped. After a downgrade the
  /// second slot keeps her last confirmed state (state2 if she held two, else state1)." A downgrade
  /// is "succeeding only with 0^32 when she held a non-empty ratchet".
  func afterX2(
    _ held: RatchetPair, used: RatchetState, new: RatchetState
  ) -> (pair: RatchetPair, downgradedFrom: UInt64?) {
    // [XK-20]
    let isDowngrade = used.isEmpty && held.state1 != .empty && held.state2 != .empty
    guard isDowngrade else { return (RatchetPair(new, used), nil) }
    // [XK-26]
    let lastConfirmed = held.state2 ?? held.state1
    return (RatchetPair(new, lastConfirmed), lastConfirmed.chainLength)
  }

  /// Section 6, X3: returns the states that Bob stores for a peer that he accepts; nil if he
  /// rejects it.
  func afterX3(
    _ held: RatchetPair, used: RatchetState, new: RatchetState, flags: Flags
  ) -> (pair: RatchetPair, downgradedFrom: UInt64?)? {
    // Section 14: "A swap that took effect and was reported as failed is taken as done when X3
    // comes again and the row holds the very state that X3 leads to."
    // [DEC-76]
    if held.state1 == new { return (held, nil) }
    // "He stores (new, none)."
    // [XK-31]
    if held.state1 == used { return (RatchetPair(new), nil) }
    // Section 14, "Attempts in both directions": "he stores (new, his own unconfirmed state) in
    // this case."
    // [DEC-74]
    if held.state2 == used { return (RatchetPair(new, held.state1), nil) }
    // "If the state used is neither of them, he goes on only if the used state is the empty one and
    // flag π3 allows it (reported as a downgrade), else rejects."
    // [MODE-3] [XK-30]
    guard used.isEmpty, !flags.responderDisallowsDowngrade else { return nil }
    return (RatchetPair(new), held.state1.chainLength)
  }
}
