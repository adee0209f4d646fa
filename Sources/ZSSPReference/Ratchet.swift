// SPDX-License-Identifier: Apache-2.0
public import ZSSP

// Section 9: ratchet states and their storage. States are ZSSP's own values, so that stores can be shared and compared;
// what is done with them is written here.

extension RatchetState {
  /// The key, 32 bytes.
  var keyBytes: [UInt8] {
    let key = key
    return key.bytes.withUnsafeBytes { Array($0) }
  }

  /// A state of derived bytes.
  init(key: [UInt8], fingerprint: [UInt8], chainLength: UInt64) {
    self.init(
      key: Secret(copying: key.span.bytes), fingerprint: Fingerprint(fingerprint.span.bytes),
      chainLength: chainLength)
  }
}

/// "A storage error": nothing may be concluded about what is stored.
public struct StoreFailure: Error {
  /// A failure.
  public init() {}
}

/// "For each remote peer the store holds (state1, state2 or none), initially (empty, none)."
public protocol ReferenceStore: AnyObject {
  /// *By fingerprint*: "the state and who it belongs to"; nil if there is none. Never asked for the empty fingerprint.
  func state(_ fingerprint: Fingerprint) throws(StoreFailure) -> (state: RatchetState, peer: PublicKey)?
  /// *By peer*: "the pair".
  func pair(_ peer: PublicKey) throws(StoreFailure) -> RatchetPair
  /// *Compare-and-swap*: "swapped or not. Pairs are compared by fingerprint and chain length, never by key."
  func swap(_ peer: PublicKey, _ expected: RatchetPair, _ new: RatchetPair) throws(StoreFailure) -> Bool
  /// *Give up* (section 14): "from then on no swap brings the state of that name into the peer's row"; the pair that is held.
  func giveUp(_ peer: PublicKey, _ name: Fingerprint) throws(StoreFailure) -> RatchetPair
}

/// A store that is as durable as the process.
public final class ReferenceMemoryStore: ReferenceStore {
  /// What is stored for each peer.
  public var pairs: [PublicKey: RatchetPair]
  private var givenUp: [PublicKey: [Fingerprint]] = [:]

  /// A store that holds `pairs` to begin with.
  public init(_ pairs: [PublicKey: RatchetPair] = [:]) { self.pairs = pairs }

  /// Looks through all pairs.
  public func state(_ fingerprint: Fingerprint) throws(StoreFailure) -> (state: RatchetState, peer: PublicKey)? {
    for (peer, pair) in pairs {
      for state in [pair.state1, pair.state2].compactMap(\.self) where state.fingerprint == fingerprint {
        return (state, peer)
      }
    }
    return nil
  }

  /// The pair of `peer`.
  public func pair(_ peer: PublicKey) throws(StoreFailure) -> RatchetPair { pairs[peer] ?? .empty }

  /// Compares and swaps.
  public func swap(_ peer: PublicKey, _ expected: RatchetPair, _ new: RatchetPair) throws(StoreFailure) -> Bool {
    guard (pairs[peer] ?? .empty) == expected else { return false }
    guard !(givenUp[peer] ?? []).contains(new.state1.fingerprint) else { return false }
    pairs[peer] = new
    return true
  }

  /// Remembers the name, "the latest eight of each peer".
  public func giveUp(_ peer: PublicKey, _ name: Fingerprint) throws(StoreFailure) -> RatchetPair {
    let held = pairs[peer] ?? .empty
    if held.state1.fingerprint != name, held.state2?.fingerprint != name, givenUp[peer]?.contains(name) != true {
      givenUp[peer] = ((givenUp[peer] ?? []) + [name]).suffix(8)
    }
    return held
  }
}

extension ReferencePeer {
  /// "One-time password p: (rk, rf) = KBKDF(p, "ZSSP_OTP_TO_RATCHET", "", 2) cut to 32, chain length 1, stored as
  /// (that, none) on both sides before the first contact."
  public static func oneTimePassword(_ password: [UInt8], _ provider: any CryptoProvider) -> RatchetPair {
    let outputs = Primitives(provider: provider).kbkdf(password, "ZSSP_OTP_TO_RATCHET", [], 2)
    return RatchetPair(
      RatchetState(key: Array(outputs[0][0..<32]), fingerprint: Array(outputs[1][0..<32]), chainLength: 1))
  }

  /// Section 6, X2: "Alice tries the psk in this order: rk1; rk2 if she has one; 0^32 unless flag π2 forbids it."
  func candidates(_ pair: RatchetPair, _ flags: Flags) -> [RatchetState] {
    let held = [pair.state1] + (pair.state2.map { [$0] } ?? [])
    return held + (flags.initiatorDisallowsDowngrade || held.contains(.empty) ? [] : [.empty])
  }

  /// Section 6, X3: what Alice stores before X3 leaves, given the state that Bob used. "(new, the state used); her other
  /// state, if any, is dropped. After a downgrade the second slot keeps her last confirmed state (state2 if she held two,
  /// else state1)." A downgrade is "succeeding only with 0^32 when she held a non-empty ratchet".
  func afterX2(
    _ held: RatchetPair, used: RatchetState, new: RatchetState
  ) -> (pair: RatchetPair, downgradedFrom: UInt64?) {
    let isDowngrade = used.isEmpty && held.state1 != .empty && held.state2 != .empty
    guard isDowngrade else { return (RatchetPair(new, used), nil) }
    let lastConfirmed = held.state2 ?? held.state1
    return (RatchetPair(new, lastConfirmed), lastConfirmed.chainLength)
  }

  /// Section 6, X3: what Bob stores for a peer that he accepts; nil if he rejects it.
  func afterX3(
    _ held: RatchetPair, used: RatchetState, new: RatchetState, _ flags: Flags
  ) -> (pair: RatchetPair, downgradedFrom: UInt64?)? {
    // Section 14: "A swap that took effect and was reported as failed is taken as done when X3 comes again and the row
    // holds the very state that X3 leads to."
    if held.state1 == new { return (held, nil) }
    // "He stores (new, none)."
    if held.state1 == used { return (RatchetPair(new), nil) }
    // Section 14, "Attempts in both directions": "he stores (new, his own unconfirmed state) in this case."
    if held.state2 == used { return (RatchetPair(new, held.state1), nil) }
    // "If the state used is neither of them, he goes on only if the used state is the empty one and flag π3 allows it
    // (reported as a downgrade), else rejects."
    guard used.isEmpty, !flags.responderDisallowsDowngrade else { return nil }
    return (RatchetPair(new), held.state1.chainLength)
  }
}
