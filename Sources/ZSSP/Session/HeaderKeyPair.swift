// SPDX-License-Identifier: Apache-2.0

/// hk for both directions (section 3): the secrets, and the cached keyed object that removes header
/// protection. The one that adds it is in ``SendContext``.
struct HeaderKeyPair {
  private let secrets: Secret
  private var receiving: (any HeaderKey)?

  /// Creates the pair for the side in `role`.
  init(_ keys: DirectionalKeys, role: Role) {
    secrets = Secret(joining: [keys.sending(role), keys.receiving(role)])
  }

  /// Reads from the secrets; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  func prefetch() -> UInt64 { secrets.prefetch() }

  /// Returns a key that protects headers.
  func makeSendingKey(_ provider: any CryptoProvider) -> any HeaderKey {
    provider.headerKey(secrets.part(0, of: PacketSize.key))
  }

  /// Returns the key that removes header protection. A newly made one is not cached here, because
  /// the datagram may come from any sender.
  func receivingKey(_ provider: any CryptoProvider) -> any HeaderKey {
    receiving ?? provider.headerKey(secrets.part(1, of: PacketSize.key))
  }

  /// Caches the key that has removed the header protection of a genuine packet.
  mutating func keep(receiving key: any HeaderKey) {
    if receiving == nil { receiving = key }
  }

  #if KeyLog
    /// Returns the keys by their direction in a handshake in which this side is `role`.
    func directional(_ role: Role) -> DirectionalKeys {
      let sending = secrets.part(0, of: PacketSize.key)
      let receiving = secrets.part(1, of: PacketSize.key)
      return role == .initiator
        ? DirectionalKeys(toInitiator: receiving, toResponder: sending)
        : DirectionalKeys(toInitiator: sending, toResponder: receiving)
    }
  #endif

  /// Evicts the keyed object, which can be made again.
  mutating func evictExpanded() { receiving = nil }
}
