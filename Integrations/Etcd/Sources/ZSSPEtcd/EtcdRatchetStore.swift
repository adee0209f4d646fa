// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// Ratchet states in etcd, for several endpoints with the same static key: a peer that loses one goes on with another.
///
/// A swap is one transaction, and durable on most nodes when it is answered. Reads are linearizable. Where a call got no answer, the
/// store finds out what became of it before it says anything, or answers ``StoreAnswer/failed``.
///
/// ```swift
/// let options = try EtcdStoreOptions(location: "etcd://node1,node2,node3/zssp?ca=/etc/zssp/ca.pem")
/// let store = try await EtcdRatchetStore.open(options, provider: .fastest)
/// let endpoint = try await UDPEndpoint.bind(host: "::", port: 4000, configuration: configuration, store: store)
/// ```
public final class EtcdRatchetStore: RatchetStore {
  let core: StoreCore

  init(_ core: StoreCore) { self.core = core }

  /// Finds the store under a prefix, or makes it.
  ///
  /// - Parameters:
  ///   - options: where etcd is.
  ///   - provider: for the tags by which states are found, and the encryption if there is a key.
  ///   - creates: whether a store is made if there is none.
  /// - Throws: ``EtcdStoreError``, which says what to do; an empty store is the most that was made.
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

  /// Does what is asked; a swap is durable when it is answered. Calls are repeated for
  /// ``EtcdStoreOptions/timeout``; those that one try consists of, up to four, may each take ``EtcdStoreOptions/callTimeout`` more.
  public func answer(_ request: StoreRequest) async -> StoreAnswer {
    let core = core
    // What was begun is brought to its end, whether or not somebody waits for it.
    return await Task { await core.answer(request) }.value
  }

  /// What the store has done since it was opened.
  public var statistics: EtcdStoreStatistics { core.state.withLock { $0.statistics } }

  /// Ends the connections. Later requests are answered ``StoreAnswer/failed``. A second call does nothing.
  ///
  /// - Throws: ``EtcdStoreError`` if etcd could not be told; a few bytes of this store then stay there until others remove them.
  public func close() async throws(EtcdStoreError) { try await core.close() }

  /// What is kept for each peer, at one moment.
  ///
  /// - Throws: ``EtcdStoreError/damaged(reason:)`` if a row cannot be read, or what etcd says.
  public func rows() async throws(EtcdStoreError) -> [PublicKey: RatchetRow] { try await core.rows() }

  /// Stores rows of several peers, in groups of 20: those of a group all or none.
  ///
  /// - Parameters:
  ///   - rows: what to store; an empty row removes what there is.
  ///   - replaces: whether they take the place of others that are stored for these peers.
  /// - Throws: ``EtcdStoreError/conflict(peers:)`` if not and there are any, and then nothing was stored
  ///   (one that comes meanwhile ends what is left);
  ///   ``EtcdStoreError/incomplete(stored:of:reason:)`` if etcd failed after the first groups.
  public func store(_ rows: [PublicKey: RatchetRow], replaces: Bool) async throws(EtcdStoreError) {
    try await core.store(rows, replaces: replaces)
  }

  /// What is wrong with the store: rows that cannot be read, an index that does not fit them, states that two peers have. Empty if all is
  /// well.
  ///
  /// - Throws: ``EtcdStoreError`` if etcd fails.
  public func check() async throws(EtcdStoreError) -> [String] { try await core.problems() }
}

/// What an ``EtcdRatchetStore`` has done since it was opened.
public struct EtcdStoreStatistics: Sendable, Hashable {
  /// Requests that are answered.
  public internal(set) var requests = 0
  /// Those of them that were swaps.
  public internal(set) var swaps = 0
  /// Requests that were answered ``StoreAnswer/failed``.
  public internal(set) var failures = 0
  /// Calls that were made again, on the same node or the next.
  public internal(set) var repeatedCalls = 0
  /// Writes that got no answer, so that it had to be found out what became of them.
  public internal(set) var unknownOutcomes = 0
}
