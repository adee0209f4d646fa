// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
public import ZSSP

/// Ratchet states in memory, which are lost when the process ends. Peers that still have theirs
/// then report a downgrade, or refuse it.
///
/// This class is for endpoints. A driver that answers requests itself can use the value
/// `MemoryRatchetStore` of `ZSSP`, which this class shares between threads.
public final class VolatileRatchetStore: RatchetStore {
  private let store: NIOLockedValueBox<MemoryRatchetStore>

  /// Makes a store that initially holds `pairs`.
  public init(pairs: [PublicKey: RatchetPair] = [:]) { store = NIOLockedValueBox(MemoryRatchetStore(pairs: pairs)) }

  /// The stored ratchet states of each peer.
  public var pairs: [PublicKey: RatchetPair] { store.withLockedValue { $0.pairs } }

  /// The stored row of each peer.
  public var rows: [PublicKey: RatchetRow] { store.withLockedValue { $0.rows } }

  /// Executes a request at once.
  public func answer(_ request: StoreRequest) async -> StoreAnswer { store.withLockedValue { $0.answer(request) } }
}

/// The name of ``VolatileRatchetStore`` in 0.1.0, which was too similar to the name of another
/// type.
@available(*, deprecated, renamed: "VolatileRatchetStore")
public typealias InMemoryRatchetStore = VolatileRatchetStore
