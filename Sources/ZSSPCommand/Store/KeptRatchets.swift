// SPDX-License-Identifier: Apache-2.0
public import ZSSP
public import ZSSPNIO

#if SQLite
  public import ZSSPSQLite
#endif

/// A store as the tool uses it: an operator sees all of it, and it is closed at the end.
public protocol KeptRatchets: RatchetStore {
  /// What is kept for each peer.
  func everything() async throws(CommandFailure) -> [PublicKey: RatchetRow]
  /// Stores all of the rows or none; with `replaces` also in the place of others. A store over a network may do this in
  /// groups, and then says how many were stored.
  func put(_ rows: [PublicKey: RatchetRow], replaces: Bool) async throws(CommandFailure)
  /// What is wrong with it.
  func problems() async throws(CommandFailure) -> [String]
  /// Closes it. A later request fails.
  func finish() async
}

extension VolatileRatchetStore: KeptRatchets {
  /// What is kept for each peer, for operators.
  public func everything() -> [PublicKey: RatchetRow] { rows }

  /// Stores all of the rows or none, for operators.
  public func put(_ rows: [PublicKey: RatchetRow], replaces: Bool) async throws(CommandFailure) {
    throw .usage("--store memory: is empty when this ends; name a file")
  }

  /// What is wrong with it.
  public func problems() -> [String] { [] }
  /// Closes it.
  public func finish() {}
}

#if SQLite
  extension SQLiteRatchetStore: KeptRatchets {
    /// What is kept for each peer, for operators.
    public func everything() async throws(CommandFailure) -> [PublicKey: RatchetRow] {
      do { return try await rows() } catch { throw .usage("\(error)") }
    }

    /// Stores all of the rows or none, for operators.
    public func put(_ rows: [PublicKey: RatchetRow], replaces: Bool) async throws(CommandFailure) {
      do { try await store(rows, replaces: replaces) } catch { throw .usage("\(error)") }
    }

    /// What is wrong with it.
    public func problems() async throws(CommandFailure) -> [String] {
      do { return try await check() } catch { throw .usage("\(error)") }
    }

    /// Closes it.
    public func finish() async {
      do throws(SQLiteStoreError) { try await close() } catch { Terminal.error("\(error)") }
    }
  }
#endif

extension KeptRatchets {
  /// Runs `body`, and closes the store whatever comes of it.
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
