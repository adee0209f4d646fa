// SPDX-License-Identifier: Apache-2.0

import ZSSP
import ZSSPReference

// The same things under the names of either implementation.

extension ReferencePeer.Flags {
  init(_ flags: SecurityFlags) {
    self.init()
    helloRequiresRatchet = flags.contains(.helloRequiresRatchet)
    initiatorDisallowsDowngrade = flags.contains(.initiatorDisallowsDowngrade)
    responderDisallowsDowngrade = flags.contains(.responderDisallowsDowngrade)
    responderSilentlyRejects = flags.contains(.responderRejectsSilently)
  }
}

extension ReferencePeer.Event {
  /// The event in a few words, without ids.
  var summary: String {
    switch self {
    case .established(_, let establishment): "established \(establishment.chainLength)"
    case .confirmed: "confirmed"
    case .restarted(_, let reason): "restarted \(reason)"
    case .downgraded(_, _, let heldChainLength): "downgraded \(heldChainLength)"
    case .rekeyed(_, let chainLength): "rekeyed \(chainLength)"
    case .answered(_, let roundTrip): "answered in \(roundTrip.map { "\($0)" } ?? "?")"
    case .moved: "moved"
    case .ended(_, let reason): "ended \(reason)"
    case .withdrawn: "withdrawn"
    }
  }
}

extension Event {
  /// The event in a few words, without ids.
  var summary: String {
    switch self {
    case .established(_, let establishment): "established \(establishment.chainLength)"
    case .confirmed: "confirmed"
    case .restarted(_, let reason): "restarted \(reason.rawValue)"
    case .downgraded(_, _, let heldChainLength): "downgraded \(heldChainLength)"
    case .rekeyed(_, let chainLength): "rekeyed \(chainLength)"
    case .answered(_, let roundTrip): "answered in \(roundTrip.map { "\($0)" } ?? "?")"
    case .moved: "moved"
    case .ended(_, let reason): "ended \(reason.rawValue)"
    case .withdrawn: "withdrawn"
    }
  }
}

/// A store in memory that remembers what was swapped.
final class RecordingStore: ReferenceStore {
  private let memory: ReferenceMemoryStore
  private(set) var swaps: [(expected: RatchetPair, new: RatchetPair)] = []

  init(_ pairs: [PublicKey: RatchetPair]) { memory = ReferenceMemoryStore(pairs) }

  var pairs: [PublicKey: RatchetPair] { memory.pairs }

  func state(_ first: Fingerprint, _ second: Fingerprint) throws(StoreFailure) -> (
    state: RatchetState, peer: PublicKey
  )? { try memory.state(first, second) }

  func row(_ peer: PublicKey) throws(StoreFailure) -> HeldRow { try memory.row(peer) }

  func swap(
    of peer: PublicKey, from expected: RatchetPair, to new: RatchetPair, since start: UInt64?
  ) throws(StoreFailure) -> Bool {
    swaps.append((expected, new))
    return try memory.swap(of: peer, from: expected, to: new, since: start)
  }

  func revoke(of peer: PublicKey, name: Fingerprint) throws(StoreFailure) -> HeldRow {
    try memory.revoke(of: peer, name: name)
  }
}
