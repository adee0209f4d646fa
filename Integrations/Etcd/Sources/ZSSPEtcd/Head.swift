// SPDX-License-Identifier: Apache-2.0
import Foundation
import SwiftProtobuf
import ZSSP
import ZSSPStoreCodec

/// The record that a store exists under a prefix, with its version and the key of its tags.
struct Head: Sendable {
  static let version: UInt32 = 1

  let codec: SecretsCodec
  /// The revision at which it was created. A store that was removed and created again has another.
  let revision: Int64

  /// Reads the head, or creates it if `creates` is true.
  ///
  /// - Throws: ``EtcdStoreError``.
  static func open(
    _ keyValues: any KeyValues, _ options: EtcdStoreOptions, _ provider: any CryptoProvider, creates: Bool
  ) async throws(EtcdStoreError) -> Head {
    let keys = Keys(prefix: options.prefix)
    return try await StoreCore.repeated(options) { () async throws(CallFailure) -> Head? in
      // Both reads are at one revision: otherwise a store that is created in between would be taken
      // for other content.
      var look = Etcdserverpb_TxnRequest()
      look.success = [.get(keys.head), .range(Etcdserverpb_RangeRequest(prefix: keys.all, limit: 1, keysOnly: true))]
      let found = try await keyValues.transact(look)
      if let found = found.read(0) {
        do throws(EtcdStoreError) { return try Head(found, options, provider) } catch { throw .refused(error) }
      }
      guard creates else { throw .refused(.missing(prefix: options.prefix)) }
      guard found.read(1) == nil else { throw .refused(.notOurs(prefix: options.prefix)) }
      var head = Zsspetcd_StoredHead()
      head.version = version
      head.tagKey = Data(SecretsCodec.make(provider, key: options.key).kept)
      var request = Etcdserverpb_TxnRequest()
      request.compare = [.modified(keys.head, at: 0)]
      do {
        request.success = [.put(keys.head, try head.serializedBytes())]
      } catch {
        throw .refused(.damaged(reason: "the head cannot be written: \(error)"))
      }
      // The first store to write has created it, and all stores read it.
      _ = try await keyValues.transact(request)
      return nil
    }
  }

  private init(
    _ keyValue: Etcdserverpb_KeyValue, _ options: EtcdStoreOptions, _ provider: any CryptoProvider
  ) throws(EtcdStoreError) {
    let head: Zsspetcd_StoredHead
    do { head = try Zsspetcd_StoredHead(serializedBytes: keyValue.value) } catch {
      throw .notOurs(prefix: options.prefix)
    }
    guard head.version > 0, !head.tagKey.isEmpty else { throw .notOurs(prefix: options.prefix) }
    guard head.version <= Self.version else { throw .newer(version: head.version, known: Self.version) }
    let kept = [UInt8](head.tagKey)
    switch (SecretsCodec.isEncrypted(kept: kept), options.key) {
    case (true, nil): throw .keyNeeded(prefix: options.prefix)
    case (false, .some): throw .keyNotNeeded(prefix: options.prefix)
    default: break
    }
    guard let codec = SecretsCodec(provider, key: options.key, kept: kept) else {
      throw .wrongKey(prefix: options.prefix)
    }
    self.codec = codec
    revision = keyValue.createRevision
  }
}
