// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import CPowerCut
  import Foundation
  import GRDB
  import Testing
  import ZSSP
  import ZSSPStoreTesting
  import ZSSPSwiftCrypto

  @testable import ZSSPSQLite

  /// A folder with one database, gone at the end of the test.
  final class Database: Sendable {
    /// The folder, without symbolic links.
    let folder: String
    let path: String

    init() throws {
      let made = FileManager.default.temporaryDirectory.appending(path: "zssp-store-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: made, withIntermediateDirectories: true)
      folder = made.resolvingSymlinksInPath().path
      path = folder + "/ratchets.db"
    }

    deinit {
      do { try FileManager.default.removeItem(atPath: folder) } catch {
        Issue.record("cannot remove \(folder): \(error)")
      }
    }

    /// Opens it with options.
    func open(_ change: (inout SQLiteStoreOptions) -> Void = { _ in }) throws(SQLiteStoreError) -> SQLiteRatchetStore {
      var options = SQLiteStoreOptions()
      change(&options)
      return try SQLiteRatchetStore(path: path, provider: SwiftCryptoProvider(), options: options)
    }

    /// Returns the error with which opening fails.
    func refusal(_ change: (inout SQLiteStoreOptions) -> Void = { _ in }) throws -> SQLiteStoreError {
      try #require(throws: SQLiteStoreError.self) { _ = try self.open(change) }
    }

    /// All bytes of the database and of the files beside it.
    func bytes() throws -> [UInt8] {
      try ["", "-wal", "-shm"].flatMap { suffix -> [UInt8] in
        FileManager.default.fileExists(atPath: path + suffix)
          ? Array(try Data(contentsOf: URL(filePath: path + suffix))) : []
      }
    }

    /// Changes it as another program would.
    func edit(_ sql: String, arguments: StatementArguments = []) throws {
      let queue = try DatabaseQueue(path: path)
      try queue.writeWithoutTransaction { database in try database.execute(sql: sql, arguments: arguments) }
      try queue.close()
    }
  }

  /// Peers and states, the same for the same number.
  enum Sample {
    static func peer(_ number: UInt8) throws -> PublicKey {
      try #require(PublicKey([2] + [UInt8](repeating: number, count: 48)))
    }

    static func state(_ number: UInt64) -> RatchetState {
      func bytes(_ salt: UInt64) -> [UInt8] {
        (UInt64(0)..<4).flatMap { word -> [UInt8] in
          let value = (number &* 4 &+ word &+ salt) &* 0x9e37_79b9_7f4a_7c15
          return (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) ^ UInt8($0) }
        }
      }
      let key = bytes(1 << 40)
      let fingerprint = bytes(1 << 50)
      return RatchetState(
        key: Secret(copying: key.rawBytes), fingerprint: Fingerprint(fingerprint.rawBytes), chainLength: number)
    }

    static let key = Secret(copying: [UInt8](repeating: 0x5a, count: 32).rawBytes)
  }

  extension RatchetStore {
    func swap(_ peer: PublicKey, from expected: RatchetPair, to new: RatchetPair) async -> StoreAnswer {
      await answer(.compareAndSwap(peer: peer, expected: expected, new: new))
    }

    /// Returns the stored pair; nil if the store fails.
    func load(_ peer: PublicKey) async -> RatchetPair? {
      guard case .pair(let pair, _) = await answer(.load(peer: peer)) else { return nil }
      return pair
    }
  }

  extension RatchetState {
    var keyBytes: [UInt8] { key.bytes.array }
  }

  extension StoreAnswer {
    var isSwapped: Bool { if case .swapped = self { true } else { false } }
    var isFailed: Bool { if case .failed = self { true } else { false } }
  }
#endif
