// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// The medium on which a store under test keeps its states: a file, a database, or a cluster. The
/// author of a store implements it, and runs ``StoreConformance/cases`` on it, each on a new and
/// empty medium.
///
/// ```swift
/// @Test(arguments: StoreConformance.cases)
/// func conformance(_ rule: StoreConformance) async throws {
///   try await rule.run(on: MyMedium())
/// }
/// ```
public protocol StoreMedium: Sendable {
  /// Opens a store on the content of the medium, which is empty at first.
  ///
  /// - Throws: any error if the store cannot be opened. The test then fails.
  func open() async throws -> any RatchetStore

  /// Closes a store that ``open()`` returned, so that the next store knows only the content of the
  /// medium. It is called for every store, and the store is not used afterwards.
  ///
  /// - Throws: any error if the store cannot be closed. The test then fails.
  func close(_ store: any RatchetStore) async throws

  /// True, the default, if the content outlasts a store. With false, tests of durability are passed
  /// over.
  var isDurable: Bool { get }

  /// Returns every byte on the medium, as a thief of it would find them, after `store` has erased
  /// what it must erase. Returns nil, the default, if they cannot be read; then tests of erasure
  /// are passed over.
  ///
  /// - Throws: any error if the medium cannot be read. The test then fails.
  func contents(of store: any RatchetStore) async throws -> [UInt8]?

  /// Makes the medium fail from now on under the open store, or work again.
  ///
  /// - Returns: false, the default, if it cannot be made to fail; then tests of failures are passed
  ///   over.
  /// - Throws: any error. The test then fails.
  func setFailing(_ isFailing: Bool) async throws -> Bool

  /// Makes each write fail from now on under the open store after it has taken effect, or work
  /// again. The medium then holds the written data, but the store is told that the write failed.
  /// This happens when a file was renamed and its folder cannot be synced, or when a server's
  /// answer is lost.
  ///
  /// - Returns: false, the default, if it cannot be made to fail so; then tests of such failures
  ///   are passed over.
  /// - Throws: any error. The test then fails.
  func setFailingAfterEffect(_ isFailing: Bool) async throws -> Bool
}

extension StoreMedium {
  /// True.
  public var isDurable: Bool { true }
  /// Returns nil: the bytes cannot be read.
  ///
  /// - Throws: nothing.
  public func contents(of store: any RatchetStore) async throws -> [UInt8]? { nil }
  /// Returns false: the medium cannot be made to fail.
  ///
  /// - Throws: nothing.
  public func setFailing(_ isFailing: Bool) async throws -> Bool { false }
  /// Returns false: the medium cannot be made to fail.
  ///
  /// - Throws: nothing.
  public func setFailingAfterEffect(_ isFailing: Bool) async throws -> Bool { false }
}
