// SPDX-License-Identifier: Apache-2.0
import ZSSP

extension StoreConformance {
  /// Durability, erasure, and a medium that fails.
  static let mediumCases: [StoreConformance] = [
    // [RAT-6]
    StoreConformance("what was swapped is there when the store is opened again") { trial in
      var pairs: [PublicKey: RatchetPair] = [:]
      for round in UInt64(0)..<3 {
        for number in 0..<4 {
          let peer = Samples.peer(number)
          let held = pairs[peer] ?? .empty
          let new = RatchetPair(Samples.state(1 + round * 4 + UInt64(number)), held.state1.isEmpty ? nil : held.state1)
          try await trial.swap(peer, from: held, to: new)
          pairs[peer] = new
        }
        try await trial.reopen()
        for (peer, pair) in pairs { try await trial.expect(pair, for: peer, when: "opened again") }
      }
      let forgotten = Samples.peer(0)
      try await trial.swap(forgotten, from: pairs[forgotten] ?? .empty, to: .empty)
      try await trial.reopen()
      try await trial.expect(.empty, for: forgotten, when: "opened again after the peer was forgotten")
      for number in UInt64(1)...4 {
        try await trial.expectUnknown(
          Samples.state(number).fingerprint, what: "a state that was replaced, opened again")
      }
    },
    StoreConformance("replaced keys are erased") { trial in
      let peer = Samples.peer(0)
      var held = RatchetPair.empty
      for number in UInt64(1)...8 {
        let new = RatchetPair(Samples.state(number), held.state1.isEmpty ? nil : held.state1)
        try await trial.swap(peer, from: held, to: new)
        held = new
      }
      try await trial.expectErased(1...6, when: "after they were replaced")
      try await trial.swap(peer, from: held, to: .empty)
      try await trial.expectErased(1...8, when: "after the peer was forgotten")
    },
    StoreConformance("while the medium fails nothing is said about what it holds") { trial in
      let peer = Samples.peer(0)
      let other = Samples.peer(1)
      let held = RatchetPair(Samples.state(1))
      let new = RatchetPair(Samples.state(2), Samples.state(1))
      try await trial.swap(peer, from: .empty, to: held)
      guard try await trial.medium.setFailing(true) else { throw Unfit(reason: "the medium cannot be made to fail") }
      let otherNew = RatchetPair(Samples.state(3))
      for (peer, expected, new) in [(peer, held, new), (other, .empty, otherNew)] {
        let swap = await trial.answer(.compareAndSwap(peer: peer, expected: expected, new: new))
        guard case .failed = swap else { throw Broken(reason: "a swap on a failing medium was answered \(swap.kind)") }
      }
      let revoked = await trial.answer(.revoke(Samples.state(4).fingerprint, peer: peer))
      guard case .failed = revoked else {
        throw Broken(reason: "giving up a state on a failing medium was answered \(revoked.kind)")
      }
      // A store may know the content from memory, but it must be right.
      switch await trial.answer(.load(peer: peer)) {
      case .failed: break
      case .pair(let pair, _) where pair == held || pair == new: break
      case let answer: throw Broken(reason: "a load on a failing medium was answered \(answer.kind), and is wrong")
      }
      switch await trial.answer(.lookUp(Samples.state(1).fingerprint)) {
      case .failed: break
      case .found(let state, peer: peer) where state == Samples.state(1): break
      case let answer: throw Broken(reason: "a look-up on a failing medium was answered \(answer.kind), and is wrong")
      }
      guard try await trial.medium.setFailing(false) else { throw Broken(reason: "the medium still fails") }
      try await trial.goOn(peer, from: [held, new])
      try await trial.goOn(other, from: [.empty, otherNew])
    },
    StoreConformance("a swap that failed after it had taken effect is not denied later") { trial in
      let peer = Samples.peer(0)
      let other = Samples.peer(1)
      let held = RatchetPair(Samples.state(1))
      let new = RatchetPair(Samples.state(2), Samples.state(1))
      try await trial.swap(peer, from: .empty, to: held)
      let otherNew = RatchetPair(Samples.state(3))
      for (peer, expected, new) in [(peer, held, new), (other, .empty, otherNew), (peer, new, .empty)] {
        try await trial.failAfterEffect(peer, from: expected, to: new)
      }
    },
    StoreConformance("a state whose revocation failed after it had taken effect is not swapped in later") { trial in
      let peer = Samples.peer(0)
      let late = Samples.state(2)
      let held = RatchetPair(Samples.state(1))
      try await trial.swap(peer, from: .empty, to: held)
      try await trial.setFailingAfterEffect(true)
      // A store that can find out the outcome may answer with it.
      let answer = await trial.answer(.revoke(late.fingerprint, peer: peer))
      switch answer {
      case .failed: break
      case .pair(held, _): break
      default: throw Broken(reason: "a revocation on a medium that fails after the effect was answered \(answer.kind)")
      }
      try await trial.setFailingAfterEffect(false)
      // The state may or may not have been revoked. Whatever the store answers now must stay true.
      let swap = await trial.answer(.compareAndSwap(peer: peer, expected: held, new: RatchetPair(late)))
      let next =
        switch swap {
        case .swapped: RatchetPair(late)
        case .notSwapped: held
        default: throw Broken(reason: "a swap on a medium that works again was answered \(swap.kind)")
        }
      try await trial.expect(next, for: peer, when: "after giving up failed")
      if trial.medium.isDurable { try await trial.reopen() }
      try await trial.expect(next, for: peer, when: "opened again after giving up failed")
      guard case .notSwapped = swap else { return }
      try await trial.refuse(
        peer, from: held, to: RatchetPair(late), what: "to a state that was refused before, opened again")
    },
  ]
}

extension Trial {
  /// Expects that the keys of the states of these numbers are not on the medium.
  fileprivate func expectErased(_ numbers: ClosedRange<UInt64>, when: String) async throws {
    guard let contents = try await medium.contents(of: store) else { throw Unfit(reason: "nobody can see the medium") }
    for number in numbers where contents.containsKey(of: Samples.state(number)) {
      throw Broken(reason: "key \(number) is still on the medium \(when)")
    }
  }

  fileprivate func setFailingAfterEffect(_ isFailing: Bool) async throws {
    guard try await medium.setFailingAfterEffect(isFailing) else {
      throw isFailing
        ? Unfit(reason: "the medium cannot be made to fail after the effect") : Broken(reason: "the medium still fails")
    }
  }

  /// Swaps on a medium that fails after the effect. Expects that the store's answers about the pair
  /// then agree and stay true: while the medium fails, afterwards, and after reopening.
  fileprivate func failAfterEffect(_ peer: PublicKey, from held: RatchetPair, to new: RatchetPair) async throws {
    try await setFailingAfterEffect(true)
    let answered = await answer(.compareAndSwap(peer: peer, expected: held, new: new))
    var allowed: [RatchetPair]
    switch answered {
    case .failed: allowed = [held, new]
    // A store that can find out the outcome may answer with it.
    case .swapped: allowed = [new]
    default: throw Broken(reason: "a swap on a medium that fails after the effect was answered \(answered.kind)")
    }
    switch await answer(.load(peer: peer)) {
    case .failed: break
    case .pair(let pair, _) where allowed.contains(pair): allowed = [pair]
    case let other: throw Broken(reason: "a load after a swap that failed was answered \(other.kind), and is wrong")
    }
    try await setFailingAfterEffect(false)
    let found = try await load(peer)
    guard allowed.contains(found) else {
      throw Broken(reason: "a swap that failed is known to be done or not, and then it is the other way round")
    }
    try await expect(found, for: peer, when: "after a swap failed")
    if medium.isDurable { try await reopen() }
    try await expect(found, for: peer, when: "opened again after a swap failed")
    // Makes the next case begin with the new pair.
    if found != new { try await swap(peer, from: found, to: new, what: "a swap after one that failed") }
  }

  /// Expects that one of `pairs` is stored, that it stays when the store is opened again, and that
  /// swaps work.
  fileprivate func goOn(_ peer: PublicKey, from pairs: [RatchetPair]) async throws {
    let held = try await load(peer)
    guard pairs.contains(held) else { throw Broken(reason: "after the medium failed, a third pair is held") }
    try await expect(held, for: peer, when: "after the medium failed")
    if medium.isDurable { try await reopen() }
    try await expect(held, for: peer, when: "opened again after the medium failed")
    let next = RatchetPair(Samples.state(50 + UInt64(peer.array[0])), held.state1.isEmpty ? nil : held.state1)
    try await swap(peer, from: held, to: next, what: "a swap after the medium failed and works again")
    try await expect(next, for: peer, when: "after a swap on the medium that works again")
  }
}

extension [UInt8] {
  /// Returns true if the key is in these bytes: as it is, in base64, or in hexadecimal digits.
  fileprivate func containsKey(of state: RatchetState) -> Bool {
    let key = state.key.bytes.array
    return [key, Array(key.rawBytes.hexadecimal.utf8), key.base64].contains { contains($0) }
  }

  private var base64: [UInt8] {
    let digits = Array<UInt8>("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    // Only whole groups of three bytes, which is enough to find the key.
    return stride(from: 0, to: count - 2, by: 3).flatMap { index in
      let group = Int(self[index]) << 16 | Int(self[index + 1]) << 8 | Int(self[index + 2])
      return [18, 12, 6, 0].map { digits[group >> $0 & 63] }
    }
  }
}
