// SPDX-License-Identifier: Apache-2.0

/// hk for both directions (section 3): the secrets for good, and the keyed object that uncovers headers while it is used. The one that
/// protects them is kept in ``SendContext``.
struct HeaderKeyPair {
  private let secrets: Secret
  private var receiving: (any HeaderKey)?

  /// The keys as the side in `role` has them.
  init(_ keys: DirectionalKeys, _ role: Role) {
    secrets = Secret(joining: [keys.sending(role), keys.receiving(role)])
  }

  /// Reads from the secrets; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  func prefetch() -> UInt64 { secrets.prefetch() }

  /// Protects headers.
  func makeSendingKey(_ provider: any CryptoProvider) -> any HeaderKey {
    provider.headerKey(secrets.part(0, of: PacketSize.key))
  }

  /// Uncovers headers. One that is made for this is not kept: what is uncovered may be anybody's.
  func receivingKey(_ provider: any CryptoProvider) -> any HeaderKey {
    receiving ?? provider.headerKey(secrets.part(1, of: PacketSize.key))
  }

  /// Keeps the key that has uncovered a header of the peer's.
  mutating func keep(receiving key: any HeaderKey) {
    if receiving == nil { receiving = key }
  }

  /// Gives up what can be made again.
  mutating func evictExpanded() { receiving = nil }
}
