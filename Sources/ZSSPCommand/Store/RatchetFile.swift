// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP
import ZSSPSwiftCrypto

/// The content of a ``FileRatchetStore``: versioned JSON.
enum RatchetFile {
  /// The error for a text that is no valid content.
  enum Failure: Error, Equatable, CustomStringConvertible {
    case damaged
    case otherFormat
    case newerVersion(Int)
    case damagedEntry(String)
    case repeatedEntry(String)

    var description: String {
      switch self {
      case .damaged: "not a ratchet store, or damaged; it is left as it is"
      case .otherFormat: "not a ratchet store"
      case .newerVersion(let version):
        "version \(version) is newer than this zssp, which knows \(Content.version)"
      case .damagedEntry(let key): "the entry of \(key) is damaged; the file is left as it is"
      case .repeatedEntry(let key): "there is another entry for the peer \(key); the file is left as it is"
      }
    }
  }

  private struct Content: Codable {
    static let format = "zssp ratchet store"
    static let version = 3
    var format = Self.format
    var version = Self.version
    var peers: [String: Row] = [:]
  }

  private struct Row: Codable {
    var state1: State
    var state2: State?
    /// The names of revoked states, oldest first. Since version 2, which kept the latest eight.
    var revoked: [Data]?
    /// The total number of revoked states. Since version 3.
    var revision: UInt64?

    /// Version 2 introduced the key under another name.
    enum CodingKeys: String, CodingKey {
      case state1, state2, revision
      case revoked = "givenUp"
    }

    init(_ row: RatchetRow) {
      state1 = State(row.pair.state1)
      state2 = row.pair.state2.map(State.init)
      revoked = row.revoked.isEmpty ? nil : row.revoked.names.map { Data($0.bytes) }
      revision = row.revoked.isEmpty ? nil : row.revoked.revision
    }

    /// The row; nil if a part has the wrong size.
    var ratchet: RatchetRow? {
      guard let state1 = state1.ratchet else { return nil }
      let state2 = state2?.ratchet
      guard self.state2 == nil || state2 != nil else { return nil }
      let names = revoked ?? []
      guard names.count <= RevokedStates.limit, names.allSatisfy({ $0.count == Fingerprint.size }) else { return nil }
      let revision = revision ?? UInt64(names.count)
      guard revision >= names.count else { return nil }
      return RatchetRow(
        RatchetPair(state1, state2),
        revoked: RevokedStates(names.map { Fingerprint(Array($0).rawBytes) }, revision: revision))
    }
  }

  private struct State: Codable {
    var key: Data
    var fingerprint: Data
    var chainLength: UInt64

    init(_ state: RatchetState) {
      key = Data(state.key.bytes.array)
      fingerprint = Data(state.fingerprint.bytes)
      chainLength = state.chainLength
    }

    /// The state; nil if a part has the wrong size.
    var ratchet: RatchetState? {
      guard key.count == 32, fingerprint.count == Fingerprint.size else { return nil }
      let key = Array(key)
      let fingerprint = Array(fingerprint)
      return RatchetState(
        key: Secret(copying: key.rawBytes), fingerprint: Fingerprint(fingerprint.rawBytes), chainLength: chainLength)
    }
  }

  /// Parses the rows of all peers.
  ///
  /// - Throws: ``Failure``.
  static func rows(in text: String) throws(Failure) -> [PublicKey: RatchetRow] {
    let content: Content
    do { content = try JSONDecoder().decode(Content.self, from: Data(text.utf8)) } catch { throw .damaged }
    guard content.format == Content.format else { throw .otherFormat }
    guard content.version <= Content.version else { throw .newerVersion(content.version) }
    var rows: [PublicKey: RatchetRow] = [:]
    for (key, row) in content.peers {
      guard let peer = try? PublicKey(text: key), let row = row.ratchet else { throw .damagedEntry(key) }
      // A key has two notations. Of two entries for one peer it is unknown which is newer.
      guard rows[peer] == nil else { throw .repeatedEntry(key) }
      rows[peer] = row
    }
    return rows
  }

  /// Returns the text that ``rows(in:)`` parses.
  ///
  /// - Throws: `EncodingError`.
  static func text(_ rows: [PublicKey: RatchetRow]) throws -> String {
    var content = Content()
    for (peer, row) in rows { content.peers[peer.text] = Row(row) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(content), as: UTF8.self) + "\n"
  }
}
