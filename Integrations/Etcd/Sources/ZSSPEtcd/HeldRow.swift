// SPDX-License-Identifier: Apache-2.0
import Foundation
import SwiftProtobuf
import ZSSP
import ZSSPStoreCodec

/// The row that etcd holds for a peer, with what distinguishes it from earlier rows of that peer.
struct HeldRow: Sendable {
  /// The number of latest writes that a row names.
  private static let writeLimit = 8
  private static let version: UInt32 = 1

  var row = RatchetRow()
  /// The revision of the row's last change; 0 without a row.
  var revision: Int64 = 0
  /// The names of the writes that made the row, the latest last.
  var writes: [[UInt8]] = []

  /// Makes the empty row.
  init() {}

  /// Decodes the row of a peer; nil is the empty row.
  ///
  /// - Throws: ``EtcdStoreError/damaged(reason:)`` or ``EtcdStoreError/newer(version:known:)``.
  init(_ keyValue: Etcdserverpb_KeyValue?, of peer: PublicKey, _ codec: SecretsCodec) throws(EtcdStoreError) {
    guard let keyValue else { return }
    let stored: Zsspetcd_StoredRow
    do { stored = try Zsspetcd_StoredRow(serializedBytes: keyValue.value) } catch {
      throw Self.damaged(peer, "it is no row")
    }
    guard stored.version <= Self.version else { throw .newer(version: stored.version, known: Self.version) }
    guard stored.hasState1, let state1 = Self.state(stored.state1, peer, place: 1, codec) else {
      throw Self.damaged(peer, "state 1 cannot be read")
    }
    let state2 = stored.hasState2 ? Self.state(stored.state2, peer, place: 2, codec) : nil
    guard !stored.hasState2 || state2 != nil else { throw Self.damaged(peer, "state 2 cannot be read") }
    var names = RevokedStates()
    if !stored.givenUp.isEmpty {
      guard let decoded = codec.decode(revoked: [UInt8](stored.givenUp), peer: peer) else {
        throw Self.damaged(peer, "its revoked states cannot be read")
      }
      names = decoded
    }
    row = RatchetRow(RatchetPair(state1, state2), revoked: names)
    guard !row.isEmpty else { throw Self.damaged(peer, "there is a row of nothing") }
    revision = keyValue.modRevision
    writes = stored.writes.map { [UInt8]($0) }
  }

  /// Returns the value to be stored when the write named `write` changes this row to `new`, which
  /// must not be empty.
  func value(_ new: RatchetRow, of peer: PublicKey, by write: [UInt8], _ codec: SecretsCodec) throws(EtcdStoreError)
    -> [UInt8]
  {
    var stored = Zsspetcd_StoredRow()
    stored.version = Self.version
    stored.state1 = Self.stored(new.pair.state1, peer, place: 1, codec)
    if let state2 = new.pair.state2 { stored.state2 = Self.stored(state2, peer, place: 2, codec) }
    if let names = codec.encode(new.revoked, peer: peer) { stored.givenUp = Data(names) }
    stored.writes = (writes + [write]).suffix(Self.writeLimit).map { Data($0) }
    do { return try stored.serializedBytes() } catch { throw .damaged(reason: "a row cannot be written: \(error)") }
  }

  /// Returns the tags by which the row's states are found.
  static func tags(_ row: RatchetRow, _ codec: SecretsCodec) -> Set<[UInt8]> {
    Set([row.pair.state1, row.pair.state2].compactMap { $0.flatMap { codec.tag($0.fingerprint) } })
  }

  private static func stored(
    _ state: RatchetState, _ peer: PublicKey, place: UInt8, _ codec: SecretsCodec
  ) -> Zsspetcd_StoredRow.State {
    var stored = Zsspetcd_StoredRow.State()
    stored.secrets = Data(codec.encode(state, peer: peer, place: place))
    stored.chainLength = state.chainLength
    return stored
  }

  private static func state(
    _ stored: Zsspetcd_StoredRow.State, _ peer: PublicKey, place: UInt8, _ codec: SecretsCodec
  ) -> RatchetState? {
    codec.decode([UInt8](stored.secrets), chainLength: stored.chainLength, peer: peer, place: place)
  }

  private static func damaged(_ peer: PublicKey, _ reason: String) -> EtcdStoreError {
    .damaged(reason: "the row of \(peer): \(reason)")
  }
}
