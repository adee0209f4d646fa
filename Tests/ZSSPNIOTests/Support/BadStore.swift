// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A store in memory with one fault, for a suite that should find it.
actor BadStore: RatchetStore {
  enum Fault: Sendable, CaseIterable {
    case none, loses, swapsAlways, comparesKeys, confusesNoneAndEmpty, findsReplaced, findsEmpty, findsForgotten
    case comparesBeforeAwait, keepsKeys, answersWhileFailing, ignoresChainLength, swapsWhileFailing
    case forgetsGivenUp, forgetsGivenUpAtSwap, keepsOneGivenUp, givesUpHeld, givesUpOfNobody, remembersForgotten
  }

  private let fault: Fault
  private var memory = MemoryRatchetStore()
  private var everything: [(PublicKey, RatchetState)] = []
  private var isFailing = false
  /// Names that are given up by mistake.
  private var refused: Set<Fingerprint> = []

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
    case .giveUp(let name, let peer): return giveUp(name, peer)
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

  private func giveUp(_ name: Fingerprint, _ peer: PublicKey) -> StoreAnswer {
    let held = memory.pairs[peer]
    switch fault {
    case .forgetsGivenUp: return memory.answer(.load(peer: peer))
    case .keepsOneGivenUp: memory = memory.withoutGivenUp
    case .givesUpHeld where held?.state1.fingerprint == name: refused.insert(name)
    case .givesUpOfNobody where held == nil: refused.insert(name)
    case .remembersForgotten: refused.insert(name)
    default: break
    }
    return memory.answer(.giveUp(name, peer: peer))
  }

  private func put(_ peer: PublicKey, _ new: RatchetPair) -> StoreAnswer {
    let held = memory.pairs[peer] ?? .empty
    let states = [new.state1, new.state2].compactMap(\.self)
    guard !states.contains(where: { refused.contains($0.fingerprint) && !held.contains($0) }) else {
      return .notSwapped
    }
    everything += states.map { (peer, $0) }
    if fault == .forgetsGivenUpAtSwap { memory = memory.withoutGivenUp }
    return memory.answer(.compareAndSwap(peer: peer, expected: held, new: new))
  }
}

extension MemoryRatchetStore {
  fileprivate var withoutGivenUp: MemoryRatchetStore { MemoryRatchetStore(pairs: pairs) }
}
