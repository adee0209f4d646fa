// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// What a store under test keeps its states on: a file, a database, a cluster. Whoever writes a store writes one of these
/// for it, and runs ``StoreConformance/cases`` on it, each on a new and empty one.
///
/// ```swift
/// @Test(arguments: StoreConformance.cases)
/// func conformance(_ rule: StoreConformance) async throws {
///   try await rule.run(on: MyMedium())
/// }
/// ```
public protocol StoreMedium: Sendable {
  /// Opens a store on what the medium holds: nothing at first, and later what was left there.
  func open() async throws -> any RatchetStore

  /// Closes a store that ``open()`` made, so that the next one can know only what is on the medium. Called for every
  /// store; nothing is asked of it afterwards.
  func close(_ store: any RatchetStore) async throws

  /// Whether what was stored is still there when the store is opened again. If not, the cases about that are passed over.
  var isDurable: Bool { get }

  /// Every byte that the medium holds, as a thief of it would find them, once `store` has erased what is to be erased.
  /// Nil if nobody can know; then the cases about erasure are passed over.
  func contents(of store: any RatchetStore) async throws -> [UInt8]?

  /// Makes the medium fail from now on under `store`, which is open and stays so, or work again.
  ///
  /// - Returns: false if there is no way to make it fail; then the cases about failures are passed over.
  func setFailing(_ isFailing: Bool) async throws -> Bool

  /// Makes each write fail from now on under `store` after it has taken effect, or work again: the medium holds what was
  /// written, and the store is told that it failed. So it is when a file was renamed and its folder cannot be synced, or
  /// when the answer of a server is lost.
  ///
  /// - Returns: false if there is no way; then the cases about such failures are passed over.
  func setFailingAfterEffect(_ isFailing: Bool) async throws -> Bool
}

extension StoreMedium {
  /// True.
  public var isDurable: Bool { true }
  /// Nil: nobody can know.
  public func contents(of store: any RatchetStore) async throws -> [UInt8]? { nil }
  /// False: there is no way.
  public func setFailing(_ isFailing: Bool) async throws -> Bool { false }
  /// False: there is no way.
  public func setFailingAfterEffect(_ isFailing: Bool) async throws -> Bool { false }
}
