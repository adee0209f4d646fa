// SPDX-License-Identifier: Apache-2.0

/// Names of ratchet states to which no attempt may lead any more (section 14): the peer held such a state unconfirmed,
/// and has begun a new handshake without it.
///
/// The list is bounded, and a name never gets lost by it. Every revocation raises ``revision``, and whoever wants to bring
/// in a state says at which revision its attempt began. Where names were dropped since then, the attempt is refused,
/// whatever state it leads to: so repeating old Hellos can end an attempt, and can never revive one.
public struct RevokedStates: Sendable, Hashable {
  // [DEC-69]
  /// How many names are kept. A list that is full takes 8 KB; who wants to end an attempt by repeating Hellos needs more of them, all
  /// different and under one base, within its round trip.
  public static let limit = 256

  /// The latest names, the newest last: at most ``limit``.
  public private(set) var names: [Fingerprint]
  /// How many names were revoked in all, those included that were dropped.
  public private(set) var revision: UInt64

  /// An empty list.
  public init() { self.init([]) }

  /// The latest ``limit`` of `names`, the newest last, of `revision` in all: never less than there are names.
  public init(_ names: some Sequence<Fingerprint>, revision: UInt64 = 0) {
    let names = Array(names)
    self.names = names.suffix(Self.limit)
    self.revision = max(revision, UInt64(names.count))
  }

  /// Whether nothing was ever revoked.
  public var isEmpty: Bool { revision == 0 }

  /// Whether the state of this name was revoked, as far as the list reaches.
  public func contains(_ name: Fingerprint) -> Bool { names.contains(name) }

  // [DEC-69]
  /// Whether an attempt that began at revision `start` may lead to the state of this name: it was not revoked, and no
  /// name that was revoked since has been dropped.
  public func allows(_ name: Fingerprint, since start: UInt64) -> Bool {
    start <= revision && revision - start <= UInt64(names.count) && !contains(name)
  }

  /// Revokes the state of this name. The empty state cannot be revoked.
  ///
  /// - Returns: whether it was not in the list yet.
  @discardableResult
  public mutating func insert(_ name: Fingerprint) -> Bool {
    guard !name.isEmpty, !names.contains(name) else { return false }
    if names.count == Self.limit { names.removeFirst() }
    names.append(name)
    revision += 1
    return true
  }
}
