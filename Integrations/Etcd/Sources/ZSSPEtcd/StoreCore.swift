// SPDX-License-Identifier: Apache-2.0
import Logging
import Synchronization
import ZSSP
import ZSSPStoreCodec

/// The inside of a store: single calls, what they compare, and when they are repeated.
final class StoreCore: Sendable {
  let keyValues: any KeyValues
  let options: EtcdStoreOptions
  let provider: any CryptoProvider
  let keys: Keys
  let fence: Fence
  let head: Head
  let state = Mutex(State())

  struct State: Sendable {
    var isClosed = false
    var isFailureReported = false
    var statistics = EtcdStoreStatistics()
    /// Marks of writes whose fate is known, to be removed with the next write.
    var marks: [[UInt8]] = []
  }

  init(
    _ keyValues: any KeyValues, _ options: EtcdStoreOptions, _ provider: any CryptoProvider, _ head: Head,
    age: Fence.Age = Fence.Age()
  ) {
    (self.keyValues, self.options, self.provider, self.head) = (keyValues, options, provider, head)
    keys = Keys(prefix: options.prefix)
    fence = Fence(keyValues, keys, name: .name(), age: age)
    options.logger?.info(
      "ratchet store opened", metadata: ["zssp.store": "\(place)", "zssp.is_encrypted": "\(options.key != nil)"])
  }

  /// Where the store is, for logs.
  private var place: String { "etcd:\(options.prefix)" }

  var codec: SecretsCodec { head.codec }

  // MARK: Repeating

  /// Runs `body` until it gives something, and again after a pause when a call failed that may work later.
  func repeated<Result>(
    _ body: () async throws(CallFailure) -> Result?
  ) async throws(EtcdStoreError) -> Result {
    try await Self.repeated(options) { () async throws(CallFailure) -> Result? in
      // Of a store that was closed nothing more comes.
      guard !state.withLock({ $0.isClosed }) else { throw .refused(.closed) }
      return try await body()
    } _: {
      state.withLock { $0.statistics.repeatedCalls += 1 }
    }
  }

  static func repeated<Result>(
    _ options: EtcdStoreOptions, _ body: () async throws(CallFailure) -> Result?, _ onRepeat: () -> Void = {}
  ) async throws(EtcdStoreError) -> Result {
    let clock = ContinuousClock()
    let deadline = clock.now + options.timeout
    var pause = options.pause.first
    while true {
      do throws(CallFailure) {
        if let result = try await body() { return result }
        // Somebody else was faster; at once again, but not for ever.
        if clock.now >= deadline {
          throw .refused(.unreachable(reason: "others change the same row all the time"))
        }
      } catch {
        if case .refused(let error) = error { throw error }
        guard clock.now + pause < deadline else { throw error.error }
        onRepeat()
        guard await Self.wait(pause) else { throw error.error }
        pause = min(pause * 2, options.pause.longest)
      }
    }
  }

  /// Waits for a random time from half of `pause` to all of it; false if the task was cancelled.
  private static func wait(_ pause: Duration) async -> Bool {
    do {
      try await Task.sleep(for: pause * .random(in: 0.5...1))
      return true
    } catch { return false }
  }

  // MARK: Calls

  /// The row of a peer.
  func read(_ peer: PublicKey) async throws(CallFailure) -> HeldRow { try await read([peer], mark: nil).held[0] }

  /// The rows of a few peers and what a mark tells, as of one moment.
  func read(
    _ peers: [PublicKey], mark: [UInt8]?
  ) async throws(CallFailure) -> (held: [HeldRow], mark: MarkReading?) {
    var request = Etcdserverpb_TxnRequest()
    // A row that is missing because all of the store is would be taken for that of an unknown peer.
    request.compare = [.created(keys.head, at: head.revision)]
    request.success = peers.map { .get(keys.peer($0)) }
    // Whoever removes a mark that may still be asked for removes the fence with it.
    if let mark { request.success += [.get(mark), .get(fence.key)] }
    let response = try await keyValues.transact(request)
    guard response.succeeded else { throw .refused(.replaced(prefix: options.prefix)) }
    var rows: [HeldRow] = []
    for (index, peer) in peers.enumerated() { rows.append(try held(response.read(index), peer)) }
    guard mark != nil else { return (rows, nil) }
    return (
      rows,
      MarkReading(
        isThere: response.read(peers.count) != nil, fenceMade: response.read(peers.count + 1)?.createRevision)
    )
  }

  /// Makes a row `new` if it is still as it was held, and with it the index.
  ///
  /// - Returns: nil when it was done, or what the row is instead. That it was not done is then sure.
  func write(
    _ new: RatchetRow, over held: HeldRow, of peer: PublicKey, by name: [UInt8], mark: [UInt8]?, fence: Int64
  ) async throws(CallFailure) -> HeldRow? {
    let oldMarks = state.withLock { state in
      let marks = Array(state.marks.prefix(32))
      state.marks.removeFirst(marks.count)
      return marks
    }
    var isDone = false
    defer { if !isDone { state.withLock { $0.marks += oldMarks } } }
    var request = Etcdserverpb_TxnRequest()
    request.compare = [
      .created(keys.head, at: head.revision), .modified(self.fence.key, at: fence),
      .modified(keys.peer(peer), at: held.revision),
    ]
    request.success = try change(new, over: held, of: peer, by: name) + oldMarks.map { .delete($0) }
    if let mark { request.success.append(.put(mark, [1])) }
    request.failure = [.get(keys.head), .get(self.fence.key), .get(keys.peer(peer))]
    let response: Etcdserverpb_TxnResponse
    do throws(CallFailure) {
      response = try await keyValues.transact(request)
    } catch {
      // What was refused is not done later. All others may be done at any time until the fence is raised.
      if case .unknown = error {
        state.withLock { $0.statistics.unknownOutcomes += 1 }
        await self.fence.fall(fence, isInDoubt: true)
      }
      throw error
    }
    isDone = response.succeeded
    if response.succeeded {
      await self.fence.refresh(fence, now: response.header.revision)
      return nil
    }
    guard response.read(0)?.createRevision == head.revision else { throw .refused(.replaced(prefix: options.prefix)) }
    if response.read(1)?.modRevision != fence { await self.fence.fall(fence, isInDoubt: false) }
    return try self.held(response.read(2), peer)
  }

  /// What has to be written and deleted so that a row becomes another.
  func change(
    _ new: RatchetRow, over held: HeldRow, of peer: PublicKey, by name: [UInt8]
  ) throws(CallFailure) -> [Etcdserverpb_RequestOp] {
    let (old, tags) = (HeldRow.tags(held.row, codec), HeldRow.tags(new, codec))
    var operations = old.subtracting(tags).map { Etcdserverpb_RequestOp.delete(keys.tag($0, peer)) }
    operations += tags.subtracting(old).map { .put(keys.tag($0, peer), [1]) }
    if new.isEmpty {
      operations.append(.delete(keys.peer(peer)))
    } else {
      do throws(EtcdStoreError) {
        operations.append(.put(keys.peer(peer), try held.value(new, of: peer, by: name, codec)))
      } catch { throw .refused(error) }
    }
    return operations
  }

  func held(_ keyValue: Etcdserverpb_KeyValue?, _ peer: PublicKey) throws(CallFailure) -> HeldRow {
    do { return try HeldRow(keyValue, of: peer, codec) } catch { throw .refused(error) }
  }

  // MARK: Failures

  /// etcd fails. Said once, until it works.
  func report(_ error: EtcdStoreError) {
    let isNew = state.withLock { state in
      defer { state.isFailureReported = true }
      return !state.isFailureReported && !state.isClosed
    }
    guard isNew else { return }
    options.logger?.error("the ratchet store fails", metadata: ["zssp.store": "\(place)", "zssp.reason": "\(error)"])
    options.onFailure?(error)
  }

  /// etcd did what was asked, after which nothing is known to fail.
  func recovered() {
    options.logger?.notice("the ratchet store works again", metadata: ["zssp.store": "\(place)"])
  }

  /// Ends all connections. Requests that come later fail.
  func close() async throws(EtcdStoreError) {
    let wasClosed = state.withLock { state in
      defer { state.isClosed = true }
      return state.isClosed
    }
    guard !wasClosed else { return }
    var failure: CallFailure?
    do throws(CallFailure) { try await fence.close() } catch { failure = error }
    await keyValues.close()
    options.logger?.debug("ratchet store closed", metadata: ["zssp.store": "\(place)"])
    if let failure { throw failure.error }
  }
}

extension [UInt8] {
  /// 16 random bytes, to name something by.
  static func name() -> [UInt8] { (0..<16).map { _ in .random(in: .min ... .max) } }
}
