// SPDX-License-Identifier: Apache-2.0

/// The names of ratchet states that no attempt may lead to any more (section 14): the peer held
/// such a state unconfirmed, and has begun a new handshake without it.
///
/// The list is bounded, yet no revocation is lost. Every revocation raises ``revision``, and a swap
/// that adds a state says at which revision its attempt began. If names were dropped since then,
/// the swap is refused, whatever state it adds. So replaying old Hellos can end an attempt, but can
/// never revive one.
public struct RevokedStates: Sendable, Hashable {
  // [DEC-69]
  /// The number of names that are kept. A full list takes 8 KB. To end an attempt, an attacker must
  /// replay more Hellos than this, all different and under one base, within the attempt's round
  /// trip.
  public static let limit = 256

  /// The latest names, the newest last. There are at most ``limit``.
  public private(set) var names: [Fingerprint]
  /// The number of all revocations, including those whose names were dropped.
  public private(set) var revision: UInt64

  /// Creates an empty list.
  public init() { self.init([]) }

  /// Creates a list of the latest ``limit`` of `names`, the newest last. `revision` is raised to
  /// the number of `names` if it is smaller.
  public init(_ names: some Sequence<Fingerprint>, revision: UInt64 = 0) {
    let names = Array(names)
    self.names = names.suffix(Self.limit)
    self.revision = max(revision, UInt64(names.count))
  }

  /// True if nothing was ever revoked.
  public var isEmpty: Bool { revision == 0 }

  /// Returns true if the list has this name. Older revocations may have been dropped from the list.
  public func contains(_ name: Fingerprint) -> Bool { names.contains(name) }

  // [DEC-69]
  /// Returns true if an attempt that began at revision `start` may lead to the state of this name:
  /// the name is not in the list, and none that was revoked since `start` was dropped.
  public func allows(_ name: Fingerprint, since start: UInt64) -> Bool {
    start <= revision && revision - start <= UInt64(names.count) && !contains(name)
  }

  /// Revokes the state of this name. The empty state cannot be revoked.
  ///
  /// - Returns: true if the name was added; false if it was in the list already or is empty.
  @discardableResult
  public mutating func insert(_ name: Fingerprint) -> Bool {
    guard !name.isEmpty, !names.contains(name) else { return false }
    if names.count == Self.limit { names.removeFirst() }
    names.append(name)
    revision += 1
    return true
  }
}
