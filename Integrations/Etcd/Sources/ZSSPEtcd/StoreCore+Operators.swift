// SPDX-License-Identifier: Apache-2.0
import ZSSP

extension StoreCore {
  private static let pageSize = 256

  /// Returns all keys with a prefix at one revision: `revision`, which is set if it is 0.
  private func all(
    _ prefix: [UInt8], at revision: inout Int64, keysOnly: Bool = false
  ) async throws(EtcdStoreError) -> [Etcdserverpb_KeyValue] {
    var found: [Etcdserverpb_KeyValue] = []
    var isComplete = false
    while !isComplete {
      var request = Etcdserverpb_RangeRequest(
        prefix: prefix, after: found.last.map { [UInt8]($0.key) }, limit: Self.pageSize, keysOnly: keysOnly)
      request.revision = revision
      // A removed store must not be taken for an empty one.
      var look = Etcdserverpb_TxnRequest()
      look.compare = [.created(keys.head, at: head.revision)]
      look.success = [.range(request)]
      let response = try await repeated { () async throws(CallFailure) -> Etcdserverpb_TxnResponse? in
        try await fence.settle()
        let response = try await keyValues.transact(look)
        guard response.succeeded else { throw .refused(.replaced(prefix: options.prefix)) }
        return response
      }
      guard let page = response.responses.first?.responseRange else { throw .unreachable(reason: "half an answer") }
      if revision == 0 { revision = response.header.revision }
      found += page.kvs
      isComplete = !page.more || page.kvs.isEmpty
    }
    return found
  }

  func rows() async throws(EtcdStoreError) -> [PublicKey: RatchetRow] {
    var revision: Int64 = 0
    var rows: [PublicKey: RatchetRow] = [:]
    for keyValue in try await all(keys.peers, at: &revision) {
      guard let peer = Keys.peer(in: keyValue.key) else { throw .damaged(reason: "a row whose peer is no public key") }
      rows[peer] = try HeldRow(keyValue, of: peer, codec).row
    }
    return rows
  }

  func problems() async throws(EtcdStoreError) -> [String] {
    var revision: Int64 = 0
    var problems: [String] = []
    var owners: [Fingerprint: PublicKey] = [:]
    var wanted: Set<[UInt8]> = []
    for keyValue in try await all(keys.peers, at: &revision) {
      guard let peer = Keys.peer(in: keyValue.key) else {
        problems.append("there is a row whose peer is no public key")
        continue
      }
      do throws(EtcdStoreError) {
        let row = try HeldRow(keyValue, of: peer, codec).row
        problems += row.pair.problems(of: peer, &owners)
        for tag in HeldRow.tags(row, codec) { wanted.insert(keys.tag(tag, peer)) }
      } catch {
        problems.append("\(error)")
      }
    }
    let index = Set(try await all(keys.tags, at: &revision, keysOnly: true).map { [UInt8]($0.key) })
    let missing = wanted.subtracting(index).count
    let surplus = index.subtracting(wanted).count
    if missing > 0 { problems.append("\(missing) states are missing in the index and cannot be found") }
    if surplus > 0 { problems.append("\(surplus) entries of the index belong to no state") }
    return problems
  }
}
