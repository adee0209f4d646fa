// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A store in memory with one fault, for a suite that should find it.
actor BadStore: RatchetStore {
  enum Fault: Sendable, CaseIterable {
    case none, loses, swapsAlways, comparesKeys, confusesNoneAndEmpty, findsReplaced, findsEmpty, findsForgotten
    case comparesBeforeAwait, keepsKeys, answersWhileFailing, ignoresChainLength, swapsWhileFailing
    case forgetsRevoked, forgetsRevokedAtSwap, keepsOneRevoked, revokesHeld, revokesOfNobody, remembersForgotten
    case findsFirstOnly, ignoresSince, believesMemory, believesItselfWhileFailing
  }

  private let fault: Fault
  private var memory = MemoryRatchetStore()
  private var everything: [(PublicKey, RatchetState)] = []
  private var isFailing = false
  private var isFailingAfterEffect = false
  /// The rows on the "medium", if they are not those in memory.
  private var written: MemoryRatchetStore?
  /// Names that are revoked by mistake.
  private var refused: Set<Fingerprint> = []

  init(_ fault: Fault) { self.fault = fault }

  func reopen() {
    if fault == .loses { memory = MemoryRatchetStore() }
    if let written { memory = written }
    written = nil
  }

  /// A store without a fault reads what is there before it answers again.
  func setFailingAfterEffect(_ isFailing: Bool) {
    isFailingAfterEffect = isFailing
    if !isFailing, fault != .believesMemory { reopen() }
  }

  func setFailing(_ isFailing: Bool) { self.isFailing = isFailing }

  /// The content of the "medium".
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
    if isFailingAfterEffect { return failAfterEffect(request) }
    switch request {
    case .load: return memory.answer(request)
    case .lookUp(let first, let second):
      if case .found(let state, let peer) = lookUp(first) { return .found(state, peer: peer) }
      if fault == .findsFirstOnly { return .unknown }
      return lookUp(second)
    case .compareAndSwap(let peer, let expected, let new, let start):
      return await swap(peer, expected: expected, new: new, since: start)
    case .revoke(let name, let peer): return revoke(name, of: peer)
    }
  }

  private func failAfterEffect(_ request: StoreRequest) -> StoreAnswer {
    var next = written ?? memory
    switch request {
    case .load, .lookUp:
      return fault == .believesItselfWhileFailing || fault == .believesMemory ? memory.answer(request) : .failed
    case .compareAndSwap, .revoke:
      _ = next.answer(request)
      written = next
      return .failed
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

  private func swap(
    _ peer: PublicKey, expected: RatchetPair, new: RatchetPair, since start: UInt64?
  ) async -> StoreAnswer {
    let held = memory.pairs[peer] ?? .empty
    if fault == .comparesBeforeAwait {
      guard held == expected else { return .notSwapped }
      await Task.yield()
      return put(peer, new, since: start)
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
    return isEqual ? put(peer, new, since: fault == .ignoresSince ? nil : start) : .notSwapped
  }

  private func revoke(_ name: Fingerprint, of peer: PublicKey) -> StoreAnswer {
    let held = memory.pairs[peer]
    switch fault {
    case .forgetsRevoked: return memory.answer(.load(peer: peer))
    case .keepsOneRevoked: memory = memory.withoutRevocations
    case .revokesHeld where held?.state1.fingerprint == name: refused.insert(name)
    case .revokesOfNobody where held == nil: refused.insert(name)
    case .remembersForgotten: refused.insert(name)
    default: break
    }
    return memory.answer(.revoke(name, peer: peer))
  }

  private func put(_ peer: PublicKey, _ new: RatchetPair, since start: UInt64?) -> StoreAnswer {
    let held = memory.pairs[peer] ?? .empty
    let states = [new.state1, new.state2].compactMap(\.self)
    guard !states.contains(where: { refused.contains($0.fingerprint) && !held.contains($0) }) else {
      return .notSwapped
    }
    everything += states.map { (peer, $0) }
    if fault == .forgetsRevokedAtSwap { memory = memory.withoutRevocations }
    return memory.answer(.compareAndSwap(peer: peer, expected: held, new: new, since: start))
  }
}

extension MemoryRatchetStore {
  fileprivate var withoutRevocations: MemoryRatchetStore { MemoryRatchetStore(pairs: pairs) }
}
