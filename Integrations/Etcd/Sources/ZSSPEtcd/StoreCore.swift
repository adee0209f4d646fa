// SPDX-License-Identifier: Apache-2.0
import Logging
import Synchronization
import ZSSP
import ZSSPStoreCodec

/// The implementation of a store: single calls, their comparisons, and their repetition.
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
    /// Marks of writes whose outcome is known. They are removed with the next write.
    var marks: [[UInt8]] = []
  }

  init(
    _ keyValues: any KeyValues, _ options: EtcdStoreOptions, _ provider: any CryptoProvider, _ head: Head,
    age: Fence.Age = Fence.Age()
  ) {
    self.keyValues = keyValues
    self.options = options
    self.provider = provider
    self.head = head
    keys = Keys(prefix: options.prefix)
    fence = Fence(keyValues, keys, name: .name(), age: age)
    options.logger?.info(
      "ratchet store opened", metadata: ["zssp.store": "\(place)", "zssp.is_encrypted": "\(options.key != nil)"])
  }

  /// The location of the store, for logs.
  private var place: String { "etcd:\(options.prefix)" }

  var codec: SecretsCodec { head.codec }

  // MARK: Repeating

  /// Runs `body` until it returns a result. Repeats it after a pause if a call failed that may
  /// succeed later.
  func repeated<Result>(
    _ body: () async throws(CallFailure) -> Result?
  ) async throws(EtcdStoreError) -> Result {
    try await Self.repeated(options) { () async throws(CallFailure) -> Result? in
      // A closed store returns nothing any more.
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
        // Another store was faster. Try again at once, but not forever.
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

  /// Waits for a random time between half of `pause` and all of it. Returns false if the task was
  /// cancelled.
  private static func wait(_ pause: Duration) async -> Bool {
    do {
      try await Task.sleep(for: pause * .random(in: 0.5...1))
      return true
    } catch { return false }
  }

  // MARK: Calls

  /// Reads the row of a peer.
  func read(_ peer: PublicKey) async throws(CallFailure) -> HeldRow { try await read([peer], mark: nil).held[0] }

  /// Reads the rows of a few peers, and optionally a mark, at one moment.
  func read(
    _ peers: [PublicKey], mark: [UInt8]?
  ) async throws(CallFailure) -> (held: [HeldRow], mark: MarkReading?) {
    var request = Etcdserverpb_TxnRequest()
    // Otherwise a row that is missing because the store was removed would be taken for that of an
    // unknown peer.
    request.compare = [.created(keys.head, at: head.revision)]
    request.success = peers.map { .get(keys.peer($0)) }
    // A mark that may still be needed is only removed together with the fence.
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

  /// Changes a row, and with it the index, if the row is still as held.
  ///
  /// - Returns: Nil if the write was executed; otherwise the current row, and the write will not be
  ///   executed.
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
      // A refused call is not executed later. Any other may be executed at any time until the fence
      // is raised.
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

  /// Returns the operations that change a row and its index entries.
  func change(
    _ new: RatchetRow, over held: HeldRow, of peer: PublicKey, by name: [UInt8]
  ) throws(CallFailure) -> [Etcdserverpb_RequestOp] {
    let old = HeldRow.tags(held.row, codec)
    let tags = HeldRow.tags(new, codec)
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

  /// Reports a failure of etcd once, until it works again.
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

  /// Closes all connections. Later requests fail.
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
  /// Returns 16 random bytes, used as a name.
  static func name() -> [UInt8] { (0..<16).map { _ in .random(in: .min ... .max) } }
}
