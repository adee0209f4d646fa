// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// A kind of store that a tool supports in addition to those of `zssp`.
public struct StoreKind: Sendable {
  /// The kinds of the running tool. Set once, for its whole run.
  @TaskLocal static var more: [StoreKind] = []

  /// The part of a store's name before the first colon.
  public let scheme: String
  let open: @Sendable (_ name: String, _ key: Secret?, _ creates: Bool) async throws(CommandFailure) -> any KeptRatchets

  /// Makes a kind of store whose names begin with `scheme` and a colon.
  ///
  /// - Parameters:
  ///   - scheme: Letters and digits; not `sqlite`, `file` or `memory`.
  ///   - open: Opens a store. The first argument is its whole name, the second the user's key for
  ///     states at rest (32 bytes), the third true if a missing store may be created.
  public init(
    scheme: String,
    open: @escaping @Sendable (String, Secret?, Bool) async throws(CommandFailure) -> any KeptRatchets
  ) {
    self.scheme = scheme
    self.open = open
  }

  static func named(_ scheme: some StringProtocol) -> StoreKind? { more.first { $0.scheme == scheme } }
}
