// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// One run of a case: a medium, and the store that is open on it.
actor Trial {
  nonisolated let medium: any StoreMedium
  private(set) var store: any RatchetStore

  init(_ medium: any StoreMedium, store: any RatchetStore) {
    self.medium = medium
    self.store = store
  }

  func close() async throws { try await medium.close(store) }

  /// Closes the store, and opens another on what it has left.
  func reopen() async throws {
    guard medium.isDurable else { throw Unfit(reason: "the medium keeps nothing") }
    try await medium.close(store)
    store = try await medium.open()
  }

  /// Makes a request outside of the actor, so that requests may run concurrently.
  nonisolated func answer(_ request: StoreRequest) async -> StoreAnswer { await store.answer(request) }

  /// Swaps, and expects success.
  nonisolated func swap(
    _ peer: PublicKey, from expected: RatchetPair, to new: RatchetPair, what: String = "a swap from what is held"
  ) async throws {
    let answer = await answer(.compareAndSwap(peer: peer, expected: expected, new: new))
    guard case .swapped = answer else { throw Broken(reason: "\(what) was answered \(answer.kind)") }
  }

  /// Requests a swap, and expects that the store refuses it.
  nonisolated func refuse(_ peer: PublicKey, from expected: RatchetPair, to new: RatchetPair, what: String) async throws
  {
    let answer = await answer(.compareAndSwap(peer: peer, expected: expected, new: new))
    guard case .notSwapped = answer else { throw Broken(reason: "a swap \(what) was answered \(answer.kind)") }
  }

  nonisolated func load(_ peer: PublicKey) async throws -> RatchetPair {
    let answer = await answer(.load(peer: peer))
    guard case .pair(let pair, _) = answer else { throw Broken(reason: "a load was answered \(answer.kind)") }
    return pair
  }

  /// Expects that `pair` is stored for the peer, with its keys, and that its states are found.
  nonisolated func expect(_ pair: RatchetPair, for peer: PublicKey, when: String) async throws {
    let held = try await load(peer)
    guard held == pair else { throw Broken(reason: "\(when), another pair is held: \(held.names), not \(pair.names)") }
    guard held.state1.key == pair.state1.key, held.state2?.key ?? .zeros(0) == pair.state2?.key ?? .zeros(0) else {
      throw Broken(reason: "\(when), the keys of the pair are not those that were stored")
    }
    for state in [pair.state1, pair.state2].compactMap(\.self) where !state.isEmpty {
      let answer = await answer(.lookUp(state.fingerprint))
      guard case .found(let found, peer: let owner) = answer else {
        throw Broken(reason: "\(when), the look-up of a state that is held was answered \(answer.kind)")
      }
      guard found == state, found.key == state.key, owner == peer else {
        throw Broken(reason: "\(when), the look-up of a state found another, or another peer")
      }
    }
  }

  /// Expects that no state has this fingerprint.
  nonisolated func expectUnknown(_ fingerprint: Fingerprint, what: String) async throws {
    let answer = await answer(.lookUp(fingerprint))
    guard case .unknown = answer else { throw Broken(reason: "the look-up of \(what) was answered \(answer.kind)") }
  }
}

extension StoreAnswer {
  /// The kind of the answer, without its values.
  var kind: String {
    switch self {
    case .found: "found"
    case .unknown: "unknown"
    case .pair: "pair"
    case .swapped: "swapped"
    case .notSwapped: "notSwapped"
    case .failed: "failed"
    }
  }
}

extension RatchetPair {
  /// The short fingerprints and the chain lengths.
  fileprivate var names: String {
    func name(_ state: RatchetState) -> String { "\(state.fingerprint) at \(state.chainLength)" }
    return "(\(name(state1)), \(state2.map(name) ?? "none"))"
  }
}
