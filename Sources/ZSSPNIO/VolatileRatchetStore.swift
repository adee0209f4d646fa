// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
public import ZSSP

/// Ratchet states in memory, gone when the process ends. Peers that remember theirs will report a downgrade, or
/// refuse one.
///
/// For endpoints; a driver that answers requests itself may use the value `MemoryRatchetStore` of `ZSSP`, which this
/// shares between threads.
public final class VolatileRatchetStore: RatchetStore {
  private let store: NIOLockedValueBox<MemoryRatchetStore>

  /// A store that holds `pairs` to begin with.
  public init(pairs: [PublicKey: RatchetPair] = [:]) { store = NIOLockedValueBox(MemoryRatchetStore(pairs: pairs)) }

  /// What is stored for each peer.
  public var pairs: [PublicKey: RatchetPair] { store.withLockedValue { $0.pairs } }

  /// What is kept for each peer.
  public var rows: [PublicKey: RatchetRow] { store.withLockedValue { $0.rows } }

  /// Does what is asked, at once.
  public func answer(_ request: StoreRequest) async -> StoreAnswer { store.withLockedValue { $0.answer(request) } }
}

/// The name of ``VolatileRatchetStore`` in 0.1.0, which differed by two letters from that of another type.
@available(*, deprecated, renamed: "VolatileRatchetStore")
public typealias InMemoryRatchetStore = VolatileRatchetStore
