// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// Ratchet states in etcd, for several endpoints with the same static key. A peer that loses one
/// endpoint continues with another.
///
/// A swap is one transaction, which is durable on a majority of nodes when it is answered. Reads
/// are linearizable. If a call gets no answer, the store determines its outcome before it reports
/// one, or answers ``StoreAnswer/failed``.
///
/// ```swift
/// let options = try EtcdStoreOptions(location: "etcd://node1,node2,node3/zssp?ca=/etc/zssp/ca.pem")
/// let store = try await EtcdRatchetStore.open(options, provider: .fastest)
/// let endpoint = try await UDPEndpoint.bind(host: "::", port: 4000, configuration: configuration, store: store)
/// ```
public final class EtcdRatchetStore: RatchetStore {
  let core: StoreCore

  init(_ core: StoreCore) { self.core = core }

  /// Opens the store under a prefix, or creates it.
  ///
  /// - Parameters:
  ///   - options: The location and the options of etcd.
  ///   - provider: Makes the tags by which states are found, and encrypts states if `options` has a
  ///     key.
  ///   - creates: True to create a missing store; the default.
  /// - Throws: ``EtcdStoreError``, which says what to do. At most an empty store was created.
  public static func open(
    _ options: EtcdStoreOptions, provider: any CryptoProvider, creates: Bool = true
  ) async throws(EtcdStoreError) -> EtcdRatchetStore {
    try options.check()
    return try await open(Cluster(options), options, provider, creates: creates)
  }

  static func open(
    _ keyValues: any KeyValues, _ options: EtcdStoreOptions, _ provider: any CryptoProvider, creates: Bool = true
  ) async throws(EtcdStoreError) -> EtcdRatchetStore {
    do throws(EtcdStoreError) {
      let head = try await Head.open(keyValues, options, provider, creates: creates)
      return EtcdRatchetStore(StoreCore(keyValues, options, provider, head))
    } catch {
      await keyValues.close()
      throw error
    }
  }

  /// Executes a request. A swap is durable when it is answered. Calls are repeated for
  /// ``EtcdStoreOptions/timeout``. The calls of the last try, up to four, may each take
  /// ``EtcdStoreOptions/callTimeout`` more.
  public func answer(_ request: StoreRequest) async -> StoreAnswer {
    let core = core
    // A request that has begun is completed, even if its caller is cancelled.
    return await Task { await core.answer(request) }.value
  }

  /// The counters since the store was opened.
  public var statistics: EtcdStoreStatistics { core.state.withLock { $0.statistics } }

  /// Closes the connections. Later requests are answered ``StoreAnswer/failed``. A second call does
  /// nothing.
  ///
  /// - Throws: ``EtcdStoreError`` if etcd could not be told. A few bytes of this store then stay
  ///   there until other stores remove them.
  public func close() async throws(EtcdStoreError) { try await core.close() }

  /// Returns the rows of all peers at one moment.
  ///
  /// - Throws: ``EtcdStoreError/damaged(reason:)`` if a row cannot be read, or another
  ///   ``EtcdStoreError`` if etcd fails.
  public func rows() async throws(EtcdStoreError) -> [PublicKey: RatchetRow] { try await core.rows() }

  /// Stores the rows of several peers, in groups of 20. Each group is stored completely or not at
  /// all.
  ///
  /// - Parameters:
  ///   - rows: The rows. An empty row removes the stored one.
  ///   - replaces: True to replace other ratchets of these peers.
  /// - Throws: ``EtcdStoreError/conflict(peers:)`` if other ratchets exist and must not be
  ///   replaced. Then nothing was stored, unless the conflict arose meanwhile, which ends the rest.
  ///   ``EtcdStoreError/incomplete(stored:of:reason:)`` if etcd failed after the first groups.
  public func store(_ rows: [PublicKey: RatchetRow], replaces: Bool) async throws(EtcdStoreError) {
    try await core.store(rows, replaces: replaces)
  }

  /// Checks the store, and returns its defects as text: unreadable rows, an index that does not
  /// match them, states of two peers. Empty if there are none.
  ///
  /// - Throws: ``EtcdStoreError`` if etcd fails.
  public func check() async throws(EtcdStoreError) -> [String] { try await core.problems() }
}

/// Counters of an ``EtcdRatchetStore`` since it was opened.
public struct EtcdStoreStatistics: Sendable, Hashable {
  /// Answered requests.
  public internal(set) var requests = 0
  /// Answered requests that were swaps.
  public internal(set) var swaps = 0
  /// Requests that were answered ``StoreAnswer/failed``.
  public internal(set) var failures = 0
  /// Calls that were repeated, on the same node or the next.
  public internal(set) var repeatedCalls = 0
  /// Writes without an answer, whose outcome had to be determined.
  public internal(set) var unknownOutcomes = 0
}
