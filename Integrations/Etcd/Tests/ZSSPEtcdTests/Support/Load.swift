// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing
import ZSSP

@testable import ZSSPEtcd

/// Tasks that swap and load the rows of a few peers through several stores at once, and write down
/// what was answered.
final class Load: Sendable {
  /// The result of a load.
  struct Outcome: Sendable {
    var histories: [History]
    var done = 0
    var lost = 0
    var unknown = 0
    /// The longest time between two swaps that were done, of any peer.
    var longestGap = Duration.zero

    var summary: String {
      "\(histories.count) histories of \(histories.reduce(0) { $0 + $1.operations.count }) operations: "
        + "\(done) swaps done, \(lost) lost, \(unknown) unknown; longest time without a swap \(longestGap)"
    }
  }

  private struct State: Sendable {
    var moment = 0
    var numbers: [UInt64]
    var outcome: Outcome
    var lastDone: ContinuousClock.Instant?
  }

  private let peers: [PublicKey]
  private let state: Mutex<State>

  init(peers: Int) throws {
    self.peers = try (0..<peers).map { try Sample.peer($0) }
    state = Mutex(
      State(
        numbers: Array(repeating: 0, count: peers),
        outcome: Outcome(histories: Array(repeating: History(), count: peers))))
  }

  /// Each of `tasks` asks until `body` returns, or `steps` times.
  func run(
    _ stores: [EtcdRatchetStore], tasks: Int, steps: Int = .max, seed: UInt64,
    while body: @escaping @Sendable () async throws -> Void
  ) async throws -> Outcome {
    let isOver = Flag()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<tasks {
        let store = stores[task % stores.count]
        let other = stores[(task + 1) % stores.count]
        group.addTask {
          var random = Dice(seed: seed &* 1000 &+ UInt64(task))
          var left = steps
          while left > 0, !isOver.isRaised {
            await self.step(store, other, &random)
            left -= 1
          }
        }
      }
      if steps == .max {
        // Whatever comes of it, the others end.
        defer { isOver.raise() }
        try await body()
      }
      try await group.waitForAll()
    }
    return state.withLock { $0.outcome }
  }

  private func tick() -> Int {
    state.withLock { state in
      state.moment += 1
      return state.moment
    }
  }

  /// Loads a row, and tries to swap it; sometimes after a while, when it may be another. Now and
  /// then the state is looked up through another store, or given up there while it is brought in.
  private func step(_ store: EtcdRatchetStore, _ other: EtcdRatchetStore, _ random: inout Dice) async {
    let index = Int.random(in: peers.indices, using: &random)
    let peer = peers[index]
    var began = tick()
    guard let pair = await store.pair(peer) else { return }
    let held = pair.state1.chainLength
    let ended = tick()
    state.withLock { $0.outcome.histories[index].add(.load(Int(held)), began, ended) }
    if Int.random(in: 0...3, using: &random) == 0 { await Task.yield() }
    // Now and then the peer is forgotten, and comes anew: then rows are missing.
    let isForgotten = held > 0 && Int.random(in: 0...7, using: &random) == 0
    let number: UInt64 =
      isForgotten
      ? 0
      : state.withLock { state in
        state.numbers[index] += 1
        return state.numbers[index]
      }
    if held > 0, Int.random(in: 0...3, using: &random) == 0 { await lookUp(held, index, other) }
    began = tick()
    if held > 0, number > 0, Int.random(in: 0...7, using: &random) == 0 {
      async let revoked = revoke(number, index, from: held, other)
      let answer = await store.swap(peer, Sample.pair(held, of: index), Sample.pair(number, of: index))
      let ended = tick()
      let isRevoked = await revoked
      if answer.isSwapped, isRevoked { Issue.record("\(number) was brought in after it was given up") }
      // That it was not done may have this reason, and tells nothing of what was held.
      if !answer.isNotSwapped { note(answer, index, from: held, to: number, began, ended) }
      // Numbers are not used again, so a row that does not hold this one now never will.
      if isRevoked {
        let late = await store.swap(peer, Sample.pair(held, of: index), Sample.pair(number, of: index))
        if late.isSwapped { Issue.record("\(number) was brought in after it was given up") }
      }
      return
    }
    let answer = await store.swap(peer, Sample.pair(held, of: index), Sample.pair(number, of: index))
    note(answer, index, from: held, to: number, began, tick())
  }

  private func lookUp(_ number: UInt64, _ index: Int, _ store: EtcdRatchetStore) async {
    let began = tick()
    let answer = await store.answer(.lookUp(Sample.state(number, of: index).fingerprint))
    let ended = tick()
    let isFound: Bool
    switch answer {
    case .found(_, peer: peers[index]): isFound = true
    case .unknown: isFound = false
    case .failed: return
    default:
      Issue.record("a look-up was answered \(answer)")
      return
    }
    state.withLock { $0.outcome.histories[index].add(.lookUp(Int(number), isFound: isFound), began, ended) }
  }

  /// Gives a number up that nobody has stored yet, and says whether that is in force: the row was
  /// still that which it is to follow.
  private func revoke(_ number: UInt64, _ index: Int, from held: UInt64, _ store: EtcdRatchetStore) async -> Bool {
    let began = tick()
    guard
      case .pair(let pair, _) = await store.answer(
        .revoke(Sample.state(number, of: index).fingerprint, peer: peers[index]))
    else { return false }
    let ended = tick()
    state.withLock { $0.outcome.histories[index].add(.load(Int(pair.state1.chainLength)), began, ended) }
    return pair.state1.chainLength == held
  }

  private func note(_ answer: StoreAnswer, _ index: Int, from: UInt64, to: UInt64, _ began: Int, _ ended: Int) {
    state.withLock { state in
      var isDone: Bool?
      switch answer {
      case .swapped:
        isDone = true
        state.outcome.done += 1
        let now = ContinuousClock().now
        if let last = state.lastDone { state.outcome.longestGap = max(state.outcome.longestGap, now - last) }
        state.lastDone = now
      case .notSwapped:
        isDone = false
        state.outcome.lost += 1
      default: state.outcome.unknown += 1
      }
      state.outcome.histories[index].add(.swap(from: Int(from), to: Int(to), isDone: isDone), began, ended)
    }
  }
}
