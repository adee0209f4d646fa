// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import Foundation
  import GRDB
  import ZSSP
  import ZSSPStoreCodec

  /// Reads and writes the rows of `peers`, within the open transaction.
  struct Rows: Sendable {
    let codec: SecretsCodec

    /// Returns the row of a peer; an empty one if there is none.
    func row(of peer: PublicKey, in database: Database) throws -> RatchetRow {
      let statement = try database.cachedStatement(
        sql: "SELECT secrets1, chain1, secrets2, chain2, given_up FROM peers WHERE peer = ?")
      guard let row = try Row.fetchOne(statement, arguments: [Data(peer.array)]) else { return RatchetRow() }
      return try ratchetRow(row, of: peer)
    }

    /// Finds the state with the first fingerprint, or else with the second, and its peer. It is one
    /// statement, so it reads one moment.
    func find(_ first: Fingerprint, _ second: Fingerprint, in database: Database) throws -> StoreAnswer {
      let tags = [first, second].map { Self.value(codec.tag($0)) }
      let columns = "SELECT secrets1, chain1, secrets2, chain2, peer FROM peers WHERE"
      let statement = try database.cachedStatement(
        sql: """
          \(columns) tag1 = ?1 UNION ALL \(columns) tag2 = ?1
          UNION ALL \(columns) tag1 = ?2 UNION ALL \(columns) tag2 = ?2 LIMIT 1
          """)
      guard let row = try Row.fetchOne(statement, arguments: StatementArguments(tags)) else { return .unknown }
      let peer = try Self.peer(row["peer"])
      let pair = try pair(row, of: peer)
      guard let state = pair.state(first) ?? pair.state(second) else {
        throw DamagedRow(peer: peer, reason: "its tag is that of another state")
      }
      return .found(state, peer: peer)
    }

    /// Stores a row, or deletes it if it is empty.
    func store(_ row: RatchetRow, for peer: PublicKey, in database: Database) throws {
      guard !row.isEmpty else {
        return try database.cachedStatement(sql: "DELETE FROM peers WHERE peer = ?")
          .execute(arguments: [Data(peer.array)])
      }
      let state1 = row.pair.state1
      let state2 = row.pair.state2
      let arguments: StatementArguments = [
        Self.value(peer.array), Self.value(codec.encode(state1, peer: peer, place: 1)),
        Int64(bitPattern: state1.chainLength), Self.value(codec.tag(state1.fingerprint)),
        Self.value(state2.map { codec.encode($0, peer: peer, place: 2) }),
        state2.map { Int64(bitPattern: $0.chainLength) },
        Self.value(state2.flatMap { codec.tag($0.fingerprint) }),
        Self.value(codec.encode(row.revoked, peer: peer)),
      ]
      try database.cachedStatement(
        sql: """
          INSERT INTO peers (peer, secrets1, chain1, tag1, secrets2, chain2, tag2, given_up)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (peer) DO UPDATE SET secrets1 = excluded.secrets1,
          chain1 = excluded.chain1, tag1 = excluded.tag1, secrets2 = excluded.secrets2, chain2 = excluded.chain2,
          tag2 = excluded.tag2, given_up = excluded.given_up
          """
      ).execute(arguments: arguments)
    }

    /// Calls `body` for each row with its peer, or with the reason why it cannot be read.
    func forEach(in database: Database, _ body: (Result<(PublicKey, RatchetRow), DamagedRow>) throws -> Void) throws {
      let rows = try Row.fetchCursor(
        database, sql: "SELECT secrets1, chain1, secrets2, chain2, given_up, peer, tag1, tag2 FROM peers ORDER BY peer")
      while let row = try rows.next() {
        do {
          let peer = try Self.peer(row["peer"])
          let ratchetRow = try ratchetRow(row, of: peer)
          guard row["tag1"] == Self.value(codec.tag(ratchetRow.pair.state1.fingerprint)),
            row["tag2"] == Self.value(ratchetRow.pair.state2.flatMap { codec.tag($0.fingerprint) })
          else { throw DamagedRow(peer: peer, reason: "a tag is not that of its state") }
          try body(.success((peer, ratchetRow)))
        } catch let damaged as DamagedRow {
          try body(.failure(damaged))
        }
      }
    }

    private static func value(_ bytes: [UInt8]?) -> DatabaseValue { bytes.map { Data($0).databaseValue } ?? .null }

    // The type of every value is checked, because a damaged row must not end the process.

    private static func peer(_ value: DatabaseValue) throws -> PublicKey {
      guard let bytes = Data.fromDatabaseValue(value), let peer = PublicKey(Array(bytes)) else {
        throw DamagedRow(peer: nil, reason: "its peer is no public key")
      }
      return peer
    }

    private func ratchetRow(_ row: Row, of peer: PublicKey) throws -> RatchetRow {
      let record: DatabaseValue = row["given_up"]
      if record.isNull { return RatchetRow(try pair(row, of: peer)) }
      guard let record = Data.fromDatabaseValue(record),
        let revoked = codec.decode(revoked: Array(record), peer: peer)
      else { throw DamagedRow(peer: peer, reason: "its revoked states cannot be read") }
      return RatchetRow(try pair(row, of: peer), revoked: revoked)
    }

    private func pair(_ row: Row, of peer: PublicKey) throws -> RatchetPair {
      guard let state1 = try state(row["secrets1"], chain: row["chain1"], of: peer, place: 1) else {
        throw DamagedRow(peer: peer, reason: "its first state is missing")
      }
      return RatchetPair(state1, try state(row["secrets2"], chain: row["chain2"], of: peer, place: 2))
    }

    private func state(
      _ record: DatabaseValue, chain: DatabaseValue, of peer: PublicKey, place: UInt8
    ) throws -> RatchetState? {
      if record.isNull, chain.isNull { return nil }
      guard let record = Data.fromDatabaseValue(record), let chain = Int64.fromDatabaseValue(chain),
        let state = codec.decode(Array(record), chainLength: UInt64(bitPattern: chain), peer: peer, place: place)
      else { throw DamagedRow(peer: peer, reason: "state \(place) cannot be read") }
      return state
    }
  }

  /// The error of a row that cannot be read. Other rows can be.
  struct DamagedRow: Error, CustomStringConvertible {
    let peer: PublicKey?
    let reason: String

    var description: String { "the row of \(peer.map(\.description) ?? "an unknown peer") is damaged: \(reason)" }
  }
#endif
