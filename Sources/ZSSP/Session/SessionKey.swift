// SPDX-License-Identifier: Apache-2.0

/// One key of a session, from the point of view of one side: the result of either handshake
/// (section 6).
///
/// It holds 128 bytes of key material. The keyed objects that a provider makes of it are many times
/// as large: they are made at their first use, and evicted when the session is idle. ``KeyCache``
/// decides when.
final class SessionKey {
  /// This side's id of the key, which the peer writes in its packets.
  let localID: KeyID
  /// The peer's id of the key.
  let remoteID: KeyID
  /// The session's send counter when the key was made. Uses of the key are counted from there
  /// (section 4).
  let firstCounter: UInt64
  /// The transport keys and kek, each for sending and for receiving.
  private let secrets: Secret
  private enum Part: Int { case sending, receiving, exchangeSending, exchangeReceiving }

  private var receiving: (any PacketKey)?
  private var receivingStream: (any PacketStream)?

  /// The chain length of the ratchet state that was derived with the key.
  let chainLength: UInt64
  /// The first bytes of that state's fingerprint. Two keys have the same only if they result from
  /// one handshake.
  let statePrefix: UInt64

  init(
    _ secrets: SessionSecrets, role: Role, localID: KeyID, remoteID: KeyID, firstCounter: UInt64
  ) {
    self.localID = localID
    self.remoteID = remoteID
    self.chainLength = secrets.ratchet.chainLength
    statePrefix = secrets.ratchet.fingerprint.prefix
    // [CTR-2]
    self.firstCounter = firstCounter
    let transport = secrets.transportKeys
    let exchange = secrets.exchangeKeys
    self.secrets = Secret(joining: [
      transport.sending(role), transport.receiving(role), exchange.sending(role), exchange.receiving(role),
    ])
  }

  /// Reads from the cache line that has the address of the secrets; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  func prefetch() -> UInt64 { firstCounter }

  /// Reads from the secrets; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  func prefetchSecrets() -> UInt64 { secrets.prefetch() }

  private func make(_ part: Part, provider: any CryptoProvider) -> any PacketKey {
    provider.packetKey(secrets.part(part.rawValue, of: PacketSize.key))
  }

  /// Returns a key that seals data. ``SendContext`` caches it.
  func makeSendingKey(_ provider: any CryptoProvider) -> any PacketKey { make(.sending, provider: provider) }

  /// Returns the key that opens data.
  func receivingKey(_ provider: any CryptoProvider) -> any PacketKey {
    if let receiving { return receiving }
    let key = make(.receiving, provider: provider)
    receiving = key
    return key
  }

  /// Takes out a stream that opens one packet of several fragments in pieces; nil if the provider
  /// has none. The caller has it exclusively until it gives it back: packets whose fragments are
  /// interleaved have a stream each.
  func takeReceivingStream(_ provider: any CryptoProvider) -> (any PacketStream)? {
    receivingStream.take() ?? receivingKey(provider).makeStream()
  }

  /// Caches the stream for the next packet, if the key that it was made of is still cached.
  func giveBack(_ stream: any PacketStream) {
    if receiving != nil { receivingStream = stream }
  }

  /// Evicts the keyed objects, which can be made again.
  func evictExpanded() {
    receiving = nil
    receivingStream = nil
  }

  /// Returns a key that seals control packets under kek. They are rare, so it is made when needed.
  func makeExchangeSendingKey(_ provider: any CryptoProvider) -> any PacketKey {
    make(.exchangeSending, provider: provider)
  }
  /// Returns a key that opens control packets under kek.
  func makeExchangeReceivingKey(_ provider: any CryptoProvider) -> any PacketKey {
    make(.exchangeReceiving, provider: provider)
  }
}
