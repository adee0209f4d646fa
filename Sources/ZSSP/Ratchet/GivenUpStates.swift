// SPDX-License-Identifier: Apache-2.0

/// Names of ratchet states that a peer held unconfirmed, and has begun a new handshake without (section 14).
///
/// The latest few are kept: the peer gives one up with each attempt that it abandons after X2, and no attempt is waited for
/// longer than a few of these.
public struct GivenUpStates: Sendable, Hashable {
  /// So many are kept.
  public static let limit = 8

  /// The names, the latest last: at most ``limit``.
  public private(set) var names: [Fingerprint] = []

  /// The latest of these.
  public init(_ names: some Sequence<Fingerprint> = []) {
    for name in names { insert(name) }
  }

  /// Whether there are none.
  public var isEmpty: Bool { names.isEmpty }

  /// Whether the state of this name was given up.
  public func contains(_ name: Fingerprint) -> Bool { names.contains(name) }

  /// The peer goes on without the state of this name. That of the empty state is not kept.
  ///
  /// - Returns: whether it was not known yet.
  @discardableResult
  public mutating func insert(_ name: Fingerprint) -> Bool {
    guard !name.isEmpty, !names.contains(name) else { return false }
    if names.count == Self.limit { names.removeFirst() }
    names.append(name)
    return true
  }
}
