// SPDX-License-Identifier: Apache-2.0
#if SQLite
  import CPowerCut
  import Foundation
  import GRDB
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPSQLite

  @Suite("Opening a database: what is refused, and left as it was", .tags(.slow), .timeLimit(.minutes(20)))
  struct OpeningTests {
    /// Expects that opening fails, and changes no byte of the file.
    private func expectRefused(
      _ database: Database, as expected: SQLiteStoreError,
      change: (inout SQLiteStoreOptions) -> Void = { _ in }
    ) throws {
      let before = try Data(contentsOf: URL(filePath: database.path))
      let error = try database.refusal(change)
      #expect(error.isLike(expected) && error.description.contains(database.path), "\(error)")
      #expect(try Data(contentsOf: URL(filePath: database.path)) == before)
    }

    private func write(_ bytes: [UInt8], to database: Database, mode: mode_t = 0o600) throws {
      try Data(bytes).write(to: URL(filePath: database.path))
      #expect(chmod(database.path, mode) == 0)
    }

    /// A store with two rows, closed.
    private func filled(_ change: (inout SQLiteStoreOptions) -> Void = { _ in }) async throws -> Database {
      let database = try Database()
      let store = try database.open(change)
      for number in UInt8(0)..<2 {
        let pair = RatchetPair(Sample.state(UInt64(number) + 1))
        #expect(await store.swap(try Sample.peer(number), from: .empty, to: pair).isSwapped)
      }
      try await store.close()
      return database
    }

    @Test(arguments: ["", "not a database", #"{"format":"zssp ratchet store","version":1,"peers":{}}"#])
    func otherFiles(content: String) throws {
      let database = try Database()
      try write(Array(content.utf8), to: database)
      try expectRefused(database, as: .notOurs(path: ""))
    }

    @Test func theDatabaseOfAnotherProgram() throws {
      let database = try Database()
      try database.edit("CREATE TABLE peers (name TEXT)")
      #expect(chmod(database.path, 0o600) == 0)
      try expectRefused(database, as: .notOurs(path: ""))
    }

    @Test func aNewerStore() async throws {
      let database = try await filled()
      try database.edit("PRAGMA user_version = 99")
      try expectRefused(database, as: .newer(path: "", version: 99, known: Schema.current.version))
    }

    /// A process that ended at once has left its last commits in the log only.
    @Test func aNewerStoreThatOnlyTheLogKnowsOf() async throws {
      let database = try await filled()
      let copy = try Database()
      let queue = try DatabaseQueue(path: database.path)
      try await queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA user_version = 99") }
      for suffix in ["", "-wal"] {
        try FileManager.default.copyItem(atPath: database.path + suffix, toPath: copy.path + suffix)
      }
      try queue.close()
      let log = try Data(contentsOf: URL(filePath: copy.path + "-wal"))
      #expect(!log.isEmpty)
      try expectRefused(copy, as: .newer(path: "", version: 99, known: Schema.current.version))
      #expect(try Data(contentsOf: URL(filePath: copy.path + "-wal")) == log)
    }

    @Test func damagedStores() async throws {
      for offset in [4096, 8192, 12_288] {
        let database = try await filled()
        var bytes = Array(try Data(contentsOf: URL(filePath: database.path)))
        for index in offset..<min(offset + 4096, bytes.count) { bytes[index] ^= 0x55 }
        try write(bytes, to: database)
        try expectRefused(database, as: .damaged(path: "", reason: ""))
      }
      let truncated = try await filled()
      #expect(truncate(truncated.path, 5000) == 0)
      try expectRefused(truncated, as: .damaged(path: "", reason: ""))
      for sql in ["DROP TABLE meta", "DROP TABLE peers", "DELETE FROM meta", "UPDATE meta SET value = 7"] {
        let database = try await filled()
        try database.edit(sql)
        try expectRefused(database, as: .damaged(path: "", reason: ""))
      }
    }

    @Test func permissions() async throws {
      let database = try await filled()
      for mode: mode_t in [0o644, 0o660, 0o601] {
        #expect(chmod(database.path, mode) == 0)
        try expectRefused(database, as: .exposed(path: "", mode: UInt16(mode)))
      }
      #expect(chmod(database.path, 0o400) == 0)
      try expectRefused(database, as: .readOnly(path: ""))
      #expect(chmod(database.path, 0o600) == 0)
      try await database.open().close()
    }

    /// A user who can write to the folder can replace the database, for example with an older one
    /// of ours.
    @Test(
      arguments: [(0o777, true), (0o775, true), (0o1777, false), (0o755, false), (0o711, false)] as [(mode_t, Bool)])
    func aFolderThatOthersCanWriteTo(mode: mode_t, isRefused: Bool) async throws {
      let database = try await filled()
      let new = try Database()
      for one in [database, new] {
        #expect(chmod(one.folder, mode) == 0)
        if isRefused {
          let error = try one.refusal()
          #expect(error.description.contains("'chmod go-w \(one.folder)'"), "\(error)")
        } else {
          try await one.open().close()
        }
        #expect(chmod(one.folder, 0o700) == 0)
      }
    }

    @Test(.tags(.root), .enabled(if: geteuid() == 0, "only root can give files away"))
    func aFileOfAnotherUser() async throws {
      let database = try await filled()
      #expect(chown(database.path, 4242, 4242) == 0)
      for owner: UInt32? in [nil, 4243] {
        try expectRefused(database, as: .untrusted(path: "", reason: "")) { $0.owner = owner }
      }
      let error = try database.refusal()
      #expect(error.description.contains("belongs to user 4242") && error.description.contains("'chown 0 "), "\(error)")
      // Whom the process becomes may have it.
      try await database.open { $0.owner = 4242 }.close()
      #expect(chown(database.path, 0, 0) == 0)
      try await database.open().close()
    }

    @Test func whatIsNoFile() throws {
      let database = try Database()
      for (path, expected): (String, SQLiteStoreError) in [
        (database.folder, .notAFile(path: "")), ("/dev/null", .notAFile(path: "")),
        ("", .noAccess(path: "", reason: "")),
        (database.folder + "/none/store", .noAccess(path: "", reason: "")),
        ("a\0b", .noAccess(path: "", reason: "")),
      ] {
        let error = try #require(throws: SQLiteStoreError.self) {
          _ = try SQLiteRatchetStore(path: path, provider: .swiftCrypto)
        }
        #expect(error.isLike(expected), "\(error)")
      }
      #expect(!FileManager.default.fileExists(atPath: database.folder + "/none"))
    }

    @Test func aStoreIsForOneAtATime() async throws {
      let database = try await filled()
      let store = try database.open()
      try expectRefused(database, as: .inUseHere(path: ""))
      // Other processes see the lock.
      let descriptor = Foundation.open("\(database.path).lock", O_RDWR | O_CLOEXEC)
      try #require(descriptor >= 0)
      defer { Foundation.close(descriptor) }
      #expect(flock(descriptor, LOCK_SH | LOCK_NB) != 0)
      // Another name for the same file is no way around.
      let link = database.folder + "/link"
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: database.path)
      let error = try #require(throws: SQLiteStoreError.self) {
        _ = try SQLiteRatchetStore(path: link, provider: .swiftCrypto)
      }
      #expect(error == .inUseHere(path: database.path))
      try await store.close()
      try await database.open().close()
    }

    @Test("the lock of another process is respected, and the message says so")
    func otherProcess() async throws {
      let database = try await filled()
      let descriptor = Foundation.open("\(database.path).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      try #require(descriptor >= 0)
      try #require(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
      try expectRefused(database, as: .inUse(path: ""))
      #expect(try database.refusal().description.contains("another process"))
      Foundation.close(descriptor)
      try await database.open().close()
    }

    @Test("a store that was released is waited for, and not blamed on another process")
    func released() async throws {
      let database = try await filled()
      for _ in 0..<20 {
        // Each is released without close(), with a swap in its log.
        let store = try database.open { $0.eraseAfter = .seconds(3600) }
        #expect(await store.load(try Sample.peer(1)) != nil)
      }
      try await database.open().close()
    }

    @Test func aFileOfRootsSaysWhoseItIs() {
      let error = SQLiteStoreError.otherOwner(path: "/x", owner: 0, user: 1000)
      #expect(error.description.contains("belongs to user 0") && error.description.contains("chown 1000"))
      #expect(!error.description.contains("chmod"))
    }

    @Test func keys() async throws {
      let other = Secret(copying: [UInt8](repeating: 1, count: 32).rawBytes)
      let encrypted = try await filled { $0.key = Sample.key }
      try expectRefused(encrypted, as: .keyNeeded(path: ""))
      try expectRefused(encrypted, as: .wrongKey(path: "")) { $0.key = other }
      let plain = try await filled()
      try expectRefused(plain, as: .keyNotNeeded(path: "")) { $0.key = other }
      #expect(try plain.refusal { $0.key = Secret.zeros(31) } == .keySize(31))
    }

    @Test func aFullDiskLeavesNothingHalfMade() throws {
      let database = try Database()
      let error = try database.refusal { options in
        options.schema.steps.append { _ in throw DatabaseError(resultCode: .SQLITE_FULL) }
      }
      #expect(error == .full(path: database.path))
      #expect(try FileManager.default.contentsOfDirectory(atPath: database.folder) == ["ratchets.db.lock"])
    }

    @Test func aFullDiskKeepsWhatIsThere() async throws {
      #expect(powercut_register() == 1)
      let database = try await filled()
      let copy = try Database()
      let store = try database.open { $0.eraseAfter = .seconds(1000) }
      let pair = RatchetPair(Sample.state(9))
      #expect(await store.swap(try Sample.peer(9), from: .empty, to: pair).isSwapped)
      // As a process that was killed leaves them: the swap is in the log.
      for suffix in ["", "-wal"] {
        try FileManager.default.copyItem(atPath: database.path + suffix, toPath: copy.path + suffix)
      }
      try await store.close()
      powercut_fail(copy.folder, Int32(POWERCUT_FULL))
      try expectRefused(copy, as: .full(path: "")) { $0.fileSystem = "powercut" }
      powercut_fail(copy.folder, Int32(POWERCUT_WORKS))
      let opened = try copy.open()
      #expect(await opened.load(try Sample.peer(9)) == pair)
      try await opened.close()
    }

    @Test("bug: a disk without room for the index of the log was reported as an I/O error with a number")
    func aDiskWithoutRoomForTheIndexIsFull() {
      let error = DatabaseError(resultCode: .SQLITE_IOERR_SHMSIZE)
      #expect(SQLiteStoreError(error, path: "store") == .full(path: "store"))
    }

    @Test func anOlderStoreIsMigratedOrLeft() async throws {
      let database = try await filled()
      var next = Schema.current
      next.steps.append { try $0.execute(sql: "ALTER TABLE peers ADD COLUMN note TEXT") }
      var failing = next
      failing.steps.append { _ in throw DatabaseError(resultCode: .SQLITE_FULL) }
      try expectRefused(database, as: .full(path: "")) { $0.schema = failing }
      let store = try database.open { $0.schema = next }
      #expect(await store.load(try Sample.peer(1)) == RatchetPair(Sample.state(2)))
      try await store.close()
      try expectRefused(database, as: .newer(path: "", version: next.version, known: Schema.current.version))
    }

    @Test func aDatabaseOfTheFirstVersionIsMigrated() async throws {
      let database = try await filled()
      try database.edit("ALTER TABLE peers DROP COLUMN given_up; PRAGMA user_version = 1")
      let peer = try Sample.peer(1)
      let pair = RatchetPair(Sample.state(2))
      let store = try database.open()
      #expect(await store.load(peer) == pair)
      _ = await store.answer(.revoke(Sample.state(3).fingerprint, peer: peer))
      #expect(await store.swap(peer, from: pair, to: RatchetPair(Sample.state(3))).isSwapped == false)
      try await store.close()
    }

    #if os(Linux)
      @Test("bug: while another process was being started, a database that was closed was in use")
      func theLockGoesAlsoWhereOthersHaveIt() async throws {
        let database = try Database()
        let store = try database.open()
        // What such a process has for a moment.
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap(Int32.init)
        let lock = try #require(
          descriptors.first { descriptor in
            // Those of other tests come and go.
            let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")
            return path == database.path + ".lock"
          })
        let copy = dup(lock)
        defer { close(copy) }
        try await store.close()
        try await database.open().close()
      }
    #endif

    @Test func everyFileIsForItsOwnerOnly() async throws {
      let database = try Database()
      let store = try database.open()
      #expect(await store.swap(try Sample.peer(1), from: .empty, to: RatchetPair(Sample.state(1))).isSwapped)
      let names = try FileManager.default.contentsOfDirectory(atPath: database.folder)
      #expect(names.count == 4)
      for name in names {
        let attributes = try FileManager.default.attributesOfItem(atPath: "\(database.folder)/\(name)")
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(name)")
      }
      try await store.close()
    }

    @Test("bug: the log of a database that was removed was taken for the last commits of a new one")
    func aLogWithoutItsDatabaseIsNotTaken() async throws {
      let database = try await filled()
      let copy = try Database()
      let store = try database.open { $0.eraseAfter = .seconds(1000) }
      #expect(await store.swap(try Sample.peer(9), from: .empty, to: RatchetPair(Sample.state(9))).isSwapped)
      try FileManager.default.copyItem(atPath: database.path + "-wal", toPath: copy.path + "-wal")
      try await store.close()
      let log = try Data(contentsOf: URL(filePath: copy.path + "-wal"))
      let error = try copy.refusal()
      #expect(error.description.contains("\(copy.path)-wal is the log of a database that is gone"), "\(error)")
      #expect(try Data(contentsOf: URL(filePath: copy.path + "-wal")) == log)
      #expect(!FileManager.default.fileExists(atPath: copy.path))
    }

    /// SQLite takes a name that begins with file: for more than a name.
    @Test func aNameThatLooksLikeAnAddressIsAName() async throws {
      let database = try Database()
      let path = database.folder + "/file:ratchets?mode=memory"
      let store = try SQLiteRatchetStore(path: path, provider: .swiftCrypto)
      #expect(store.path == path && FileManager.default.fileExists(atPath: path))
      try await store.close()
    }
  }

  extension SQLiteStoreError {
    /// Returns true if `other` is the same case with the same versions and modes, of whatever file
    /// and reason.
    fileprivate func isLike(_ other: SQLiteStoreError) -> Bool {
      switch (self, other) {
      case (.newer(_, let left, let leftKnown), .newer(_, let right, let rightKnown)):
        left == right && leftKnown == rightKnown
      case (.exposed(_, let left), .exposed(_, let right)): left == right
      case (.damaged, .damaged), (.noAccess, .noAccess), (.notOurs, .notOurs), (.inUse, .inUse),
        (.inUseHere, .inUseHere),
        (.full, .full),
        (.keyNeeded, .keyNeeded), (.keyNotNeeded, .keyNotNeeded), (.wrongKey, .wrongKey), (.readOnly, .readOnly),
        (.notAFile, .notAFile), (.untrusted, .untrusted):
        true
      default: false
      }
    }
  }
#endif
