// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
public import ZSSP

/// Where ratchet states are kept (section 9 of the specification): a file, a database, a cluster.
///
/// An endpoint asks one question after another about one peer, and at the same time about different peers. A
/// `compareAndSwap` must be atomic and durable when it is answered. The store may be shared between endpoints.
public protocol RatchetStore: Sendable {
  /// Does what is asked. ``StoreAnswer/failed`` if that is not possible: nothing may have been changed then that is not
  /// found changed later.
  func answer(_ request: StoreRequest) async -> StoreAnswer
}

/// Ratchet states in memory, gone when the process ends. Peers that remember theirs will report a downgrade, or
/// refuse one.
public final class InMemoryRatchetStore: RatchetStore {
  private let store: NIOLockedValueBox<MemoryRatchetStore>

  /// A store that holds `pairs` to begin with.
  public init(pairs: [PublicKey: RatchetPair] = [:]) { store = NIOLockedValueBox(MemoryRatchetStore(pairs: pairs)) }

  /// What is stored for each peer.
  public var pairs: [PublicKey: RatchetPair] { store.withLockedValue { $0.pairs } }

  /// Does what is asked, at once.
  public func answer(_ request: StoreRequest) async -> StoreAnswer { store.withLockedValue { $0.answer(request) } }
}
