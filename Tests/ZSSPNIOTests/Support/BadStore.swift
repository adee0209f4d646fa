// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A store in memory with one fault, for a suite that should find it.
actor BadStore: RatchetStore {
  enum Fault: Sendable, CaseIterable {
    case none, loses, swapsAlways, comparesKeys, confusesNoneAndEmpty, findsReplaced, findsEmpty, findsForgotten
    case comparesBeforeAwait, keepsKeys, answersWhileFailing, ignoresChainLength, swapsWhileFailing
  }

  private let fault: Fault
  private var memory = MemoryRatchetStore()
  private var everything: [(PublicKey, RatchetState)] = []
  private var isFailing = false

  init(_ fault: Fault) { self.fault = fault }

  func reopen() { if fault == .loses { memory = MemoryRatchetStore() } }

  func setFailing(_ isFailing: Bool) { self.isFailing = isFailing }

  /// What is on the "medium".
  var contents: [UInt8] {
    let states =
      fault == .keepsKeys
      ? everything.map(\.1) : memory.pairs.values.flatMap { [$0.state1, $0.state2].compactMap(\.self) }
    return states.flatMap { $0.key.bytes.array }
  }

  func answer(_ request: StoreRequest) async -> StoreAnswer {
    if isFailing, fault == .answersWhileFailing {
      var empty = MemoryRatchetStore()
      return empty.answer(request)
    }
    if isFailing, fault != .swapsWhileFailing { return .failed }
    switch request {
    case .load: return memory.answer(request)
    case .lookUp(let fingerprint): return lookUp(fingerprint)
    case .compareAndSwap(let peer, let expected, let new): return await swap(peer, expected, new)
    }
  }

  private func lookUp(_ fingerprint: Fingerprint) -> StoreAnswer {
    if fault == .findsEmpty, fingerprint.isEmpty, let peer = memory.pairs.keys.first {
      return .found(.empty, peer: peer)
    }
    if fault == .findsReplaced || fault == .findsForgotten,
      let (peer, state) = everything.first(where: { $0.1.fingerprint == fingerprint && !$0.1.isEmpty }),
      fault == .findsReplaced || memory.pairs[peer] == nil
    {
      return .found(state, peer: peer)
    }
    return memory.answer(.lookUp(fingerprint))
  }

  private func swap(_ peer: PublicKey, _ expected: RatchetPair, _ new: RatchetPair) async -> StoreAnswer {
    let held = memory.pairs[peer] ?? .empty
    if fault == .comparesBeforeAwait {
      guard held == expected else { return .notSwapped }
      await Task.yield()
      return put(peer, new)
    }
    let isEqual =
      switch fault {
      case .swapsAlways: true
      case .comparesKeys: held == expected && held.state1.key == expected.state1.key
      case .confusesNoneAndEmpty: held.state1 == expected.state1 && held.state2 ?? .empty == expected.state2 ?? .empty
      case .ignoresChainLength:
        held.state1.fingerprint == expected.state1.fingerprint
          && held.state2?.fingerprint == expected.state2?.fingerprint
      default: held == expected
      }
    return isEqual ? put(peer, new) : .notSwapped
  }

  private func put(_ peer: PublicKey, _ new: RatchetPair) -> StoreAnswer {
    everything += [new.state1, new.state2].compactMap(\.self).map { (peer, $0) }
    return memory.answer(.compareAndSwap(peer: peer, expected: memory.pairs[peer] ?? .empty, new: new))
  }
}
