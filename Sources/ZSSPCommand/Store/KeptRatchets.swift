// SPDX-License-Identifier: Apache-2.0
public import ZSSP
public import ZSSPNIO

#if SQLite
  public import ZSSPSQLite
#endif

/// A store as the tool uses it: operators can inspect it, and it must be closed.
public protocol KeptRatchets: RatchetStore {
  /// Returns the row of each peer.
  ///
  /// - Throws: ``CommandFailure``.
  func everything() async throws(CommandFailure) -> [PublicKey: RatchetRow]
  /// Stores all rows or none. With `replaces`, replaces other ratchets of the same peers. A
  /// networked store may work in groups; its error then says how many were stored.
  ///
  /// - Throws: ``CommandFailure``.
  func put(_ rows: [PublicKey: RatchetRow], replaces: Bool) async throws(CommandFailure)
  /// Checks the store, and returns its defects as text.
  ///
  /// - Throws: ``CommandFailure``.
  func problems() async throws(CommandFailure) -> [String]
  /// Closes the store. Later requests fail.
  func finish() async
}

extension VolatileRatchetStore: KeptRatchets {
  /// Returns the row of each peer.
  public func everything() -> [PublicKey: RatchetRow] { rows }

  /// Fails always, because the store is empty when the process ends.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  public func put(_ rows: [PublicKey: RatchetRow], replaces: Bool) async throws(CommandFailure) {
    throw .usage("--store memory: is lost when this command ends; name a file")
  }

  /// Returns no defects.
  public func problems() -> [String] { [] }
  /// Does nothing.
  public func finish() {}
}

#if SQLite
  extension SQLiteRatchetStore: KeptRatchets {
    /// Returns the row of each peer.
    ///
    /// - Throws: ``CommandFailure/usage(_:)``.
    public func everything() async throws(CommandFailure) -> [PublicKey: RatchetRow] {
      do { return try await rows() } catch { throw .usage("\(error)") }
    }

    /// Stores all rows or none. With `replaces`, replaces other ratchets of the same peers.
    ///
    /// - Throws: ``CommandFailure/usage(_:)``.
    public func put(_ rows: [PublicKey: RatchetRow], replaces: Bool) async throws(CommandFailure) {
      do { try await store(rows, replaces: replaces) } catch { throw .usage("\(error)") }
    }

    /// Checks the store, and returns its defects as text.
    ///
    /// - Throws: ``CommandFailure/usage(_:)``.
    public func problems() async throws(CommandFailure) -> [String] {
      do { return try await check() } catch { throw .usage("\(error)") }
    }

    /// Closes the store. Later requests fail.
    public func finish() async {
      do throws(SQLiteStoreError) { try await close() } catch { Terminal.error("\(error)") }
    }
  }
#endif

extension KeptRatchets {
  /// Runs `body`, and closes the store in any case.
  func whileOpen<Result>(_ body: () async throws -> Result) async throws -> Result {
    let result: Result
    do {
      result = try await body()
    } catch {
      await finish()
      throw error
    }
    await finish()
    return result
  }
}
