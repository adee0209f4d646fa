// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// A kind of store that a tool has beside those of every `zssp`.
public struct StoreKind: Sendable {
  /// The kinds of the tool that is running. Set once, around everything that it does.
  @TaskLocal static var more: [StoreKind] = []

  /// What stands before the first colon of a store's name.
  public let scheme: String
  let open: @Sendable (_ name: String, _ key: Secret?, _ creates: Bool) async throws(CommandFailure) -> any KeptRatchets

  /// A kind of store whose names begin with `scheme` and a colon.
  ///
  /// - Parameters:
  ///   - scheme: letters and digits, other than `sqlite`, `file` and `memory`.
  ///   - open: opens the store of a name, which begins with the scheme; the second argument is the key for states at rest
  ///     that the user gave, 32 bytes, and the third whether the store is made if there is none.
  public init(
    scheme: String,
    open: @escaping @Sendable (String, Secret?, Bool) async throws(CommandFailure) -> any KeptRatchets
  ) {
    (self.scheme, self.open) = (scheme, open)
  }

  static func named(_ scheme: some StringProtocol) -> StoreKind? { more.first { $0.scheme == scheme } }
}
