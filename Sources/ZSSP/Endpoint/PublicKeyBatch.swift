// SPDX-License-Identifier: Apache-2.0

/// Items of public-key work that advance in lock-step, so that their P-384 operations are done
/// together.
///
/// Add items while it admits them, and call ``advance(measuring:)`` until ``isEmpty``. Nothing
/// waits for items that might come: an item that is alone runs as ``PublicKeyWork/run()`` does. Use
/// a batch on one thread at a time.
package struct PublicKeyBatch {
  /// An item that has ended.
  package struct Completed: Sendable {
    package let result: PublicKeyResult
    package let kind: PublicKeyWork.Kind
    /// The number that the item was added with.
    package let owner: Int
    /// The item's share of the time.
    package let time: Duration
  }

  /// An item whose computation has stopped at an operation. An object, because items move often.
  private final class Item {
    let work: PublicKeyWork
    let rank: PublicKeyWork.Rank
    let owner: Int
    private(set) var computation: Computation<PublicKeyResult.Outcome>
    private(set) var operation: Computation<PublicKeyResult.Outcome>.Operation?
    private var time: Duration

    init(
      _ work: PublicKeyWork, of owner: Int, _ computation: Computation<PublicKeyResult.Outcome>, took time: Duration
    ) {
      self.work = work
      rank = work.kind.rank
      self.owner = owner
      self.computation = computation
      operation = computation.operation
      self.time = time
    }

    /// Replaces the computation by what follows its operation.
    func proceed(to next: Computation<PublicKeyResult.Outcome>, took time: Duration) {
      computation = next
      operation = next.operation
      self.time += time
    }

    func completed(_ outcome: PublicKeyResult.Outcome) -> Completed {
      Completed(result: PublicKeyResult(id: work.id, outcome: outcome), kind: work.kind, owner: owner, time: time)
    }
  }

  private let batches: (any AgreementBatches)?
  private let capacity: Int
  private var added: [(work: PublicKeyWork, owner: Int)] = []
  /// The item that has waited longest for its operation comes first.
  private var items: [Item] = []
  private var operations = 0

  /// One operation of this number is chosen by age.
  private static let turn = 8

  /// Creates an empty batch for work of `provider`.
  package init(_ provider: any CryptoProvider) {
    batches = provider.batches
    // The items of a batch wait for three kinds of operations. With four times as many items as an
    // operation takes, one kind always has enough of them.
    capacity = batches.map { 4 * $0.size } ?? 1
  }

  /// The number of items that an operation takes.
  package var lanes: Int { batches?.size ?? 1 }

  /// True if no item is left.
  package var isEmpty: Bool { items.isEmpty && added.isEmpty }

  /// Returns true if an item of this kind can be added.
  ///
  /// Work of each rank leaves half of an operation's places to better work, so that this begins at
  /// once. Proof of work has no operation that can be shared, and takes as long as many of them:
  /// only one is done between two operations, and the others continue.
  package func admits(_ kind: PublicKeyWork.Kind) -> Bool {
    guard batches != nil else { return isEmpty }
    if kind == .proofOfWork, added.contains(where: { $0.work.kind == .proofOfWork }) { return false }
    let notBetter = items.count { $0.rank >= kind.rank } + added.count { $0.work.kind.rank >= kind.rank }
    return items.count + added.count < capacity && notBetter < capacity - kind.rank.rawValue * lanes / 2
  }

  /// Adds an item that the batch admits.
  ///
  /// - Parameter owner: A number that comes back with the result, for callers with several
  ///   endpoints: their requests may have the same ids.
  package mutating func add(_ work: PublicKeyWork, of owner: Int = 0) { added.append((work, owner)) }

  /// Begins the added items, and does one operation for as many items as possible. Items whose
  /// results are not awaited any more end as failed, without another operation.
  ///
  /// - Parameter clock: Returns the time, for the items' shares of it.
  /// - Returns: the items that have ended.
  package mutating func advance(measuring clock: () -> Duration) -> [Completed] {
    guard batches != nil else { return runOneByOne(clock) }
    var completed = takeAbandoned()
    var start = clock()
    for (work, owner) in added {
      let computation = continued { () throws(AuthenticationFailure) in
        guard work.isAwaited else { throw AuthenticationFailure() }
        return try work.job()
      }
      let now = clock()
      settle(Item(work, of: owner, computation, took: now - start), &completed)
      start = now
    }
    added.removeAll(keepingCapacity: true)
    let ready = nextItems()
    guard !ready.isEmpty else { return completed }
    let computations = operate(on: ready)
    let share = (clock() - start) / ready.count
    for (item, computation) in zip(ready, computations) {
      item.proceed(to: computation, took: share)
      settle(item, &completed)
    }
    return completed
  }

  private mutating func runOneByOne(_ clock: () -> Duration) -> [Completed] {
    defer { added.removeAll() }
    var start = clock()
    return added.map { work, owner in
      let result = work.run()
      let now = clock()
      defer { start = now }
      return Completed(result: result, kind: work.kind, owner: owner, time: now - start)
    }
  }

  /// Removes and returns the items whose results are not awaited any more.
  private mutating func takeAbandoned() -> [Completed] {
    var abandoned: [Completed] = []
    items.removeAll { item in
      guard !item.work.isAwaited else { return false }
      abandoned.append(item.completed(.failed))
      return true
    }
    return abandoned
  }

  /// Removes and returns the items whose operation is next, the best rank first.
  private mutating func nextItems() -> [Item] {
    guard !items.isEmpty else { return [] }
    operations += 1
    let isByAge = operations % Self.turn == 0
    let kind = isByAge ? items[0].operation : bestOperation
    let waiting = items.indices.filter { items[$0].operation == kind }
    let ranked =
      isByAge
      ? waiting : PublicKeyWork.Rank.allCases.flatMap { rank in waiting.filter { items[$0].rank == rank } }
    let chosen = ranked.prefix(lanes)
    defer {
      for index in chosen.sorted(by: >) { items.remove(at: index) }
    }
    return chosen.map { items[$0] }
  }

  /// The operation for which items of the best rank wait: of several, the one with the most lanes
  /// in use, and of equal ones the one that was waited for longest.
  private var bestOperation: Computation<PublicKeyResult.Outcome>.Operation? {
    guard let rank = items.map(\.rank).min() else { return nil }
    var best: (operation: Computation<PublicKeyResult.Outcome>.Operation?, lanes: Int) = (nil, 0)
    for item in items where item.rank == rank {
      let waiting = min(lanes, items.count { $0.operation == item.operation })
      if waiting > best.lanes { best = (item.operation, waiting) }
    }
    return best.operation
  }

  private mutating func settle(_ item: Item, _ completed: inout [Completed]) {
    if case .done(let outcome) = item.computation {
      completed.append(item.completed(outcome))
    } else {
      items.append(item)
    }
  }

  /// Does the operation of items that wait for the same kind, and continues their computations.
  private func operate(on items: [Item]) -> [Computation<PublicKeyResult.Outcome>] {
    // A single operation is faster without the others' lanes.
    guard let batches, items.count > 1 else { return items.map { $0.computation.stepped($0.work.provider) } }
    switch items[0].computation {
    case .done: return items.map(\.computation)
    case .generate:
      return zip(items, batches.generate(items.count)).map { $0.computation.resumed(generated: $1) }
    case .decode:
      return zip(items, batches.decode(items.compactMap(\.computation.keyToDecode))).map {
        $0.computation.resumed(decoded: $1)
      }
    case .agree:
      return zip(items, batches.agree(items.compactMap(\.computation.pairToAgree))).map {
        $0.computation.resumed(agreed: $1)
      }
    }
  }
}

/// Returns what `next` computes; a failure is an outcome like others.
private func continued(
  _ next: () throws(AuthenticationFailure) -> Computation<PublicKeyResult.Outcome>
) -> Computation<PublicKeyResult.Outcome> {
  do { return try next() } catch { return .done(.failed) }
}

extension Computation<PublicKeyResult.Outcome> {
  /// The kinds of operations at which a computation stops.
  fileprivate enum Operation { case generate, decode, agree }

  /// The operation that comes next; nil at the end.
  fileprivate var operation: Operation? {
    switch self {
    case .done: nil
    case .generate: .generate
    case .decode: .decode
    case .agree: .agree
    }
  }

  fileprivate var keyToDecode: PublicKey? {
    if case .decode(let key, _) = self { key } else { nil }
  }

  fileprivate var pairToAgree: (own: any AgreementPrivateKey, peer: any AgreementPublicKey)? {
    if case .agree(let own, let peer, _) = self { (own, peer) } else { nil }
  }

  /// Does one operation with `provider`, and continues.
  fileprivate func stepped(_ provider: any CryptoProvider) -> Self {
    continued { () throws(AuthenticationFailure) in try step(provider) }
  }

  fileprivate func resumed(generated key: any AgreementPrivateKey) -> Self {
    guard case .generate(let next) = self else { return self }
    return continued { () throws(AuthenticationFailure) in try next(key) }
  }

  fileprivate func resumed(decoded key: (any AgreementPublicKey)?) -> Self {
    guard case .decode(_, let next) = self else { return self }
    guard let key else { return .done(.failed) }
    return continued { () throws(AuthenticationFailure) in try next(key) }
  }

  fileprivate func resumed(agreed secret: Secret?) -> Self {
    guard case .agree(_, _, let next) = self else { return self }
    guard let secret else { return .done(.failed) }
    return continued { () throws(AuthenticationFailure) in try next(secret) }
  }
}
