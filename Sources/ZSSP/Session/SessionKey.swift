// SPDX-License-Identifier: Apache-2.0

/// One key of a session, seen from one side: what both handshakes produce (section 6).
///
/// It keeps 128 bytes of key material. The keyed objects that a provider makes of it are many times as large: they are
/// made at their first use, and given up while the session is idle. ``KeyCache`` says when.
final class SessionKey {
  /// This side's name for the key; the peer writes it in what it sends.
  let localID: KeyID
  /// The peer's name for the key.
  let remoteID: KeyID
  /// The session's send counter when the key was made; uses count from there (section 4).
  let firstCounter: UInt64
  /// The transport keys and kek, each for sending and for receiving.
  private let secrets: Secret
  private enum Part: Int { case sending, receiving, exchangeSending, exchangeReceiving }

  private var receiving: (any PacketKey)?
  private var receivingStream: (any PacketStream)?

  /// The chain length of the ratchet state that was derived with the key.
  let chainLength: UInt64
  /// The fingerprint of that state, which two keys share only if they came of one handshake.
  let fingerprint: Fingerprint

  init(
    _ secrets: SessionSecrets, role: Role, localID: KeyID, remoteID: KeyID, firstCounter: UInt64
  ) {
    self.localID = localID
    self.remoteID = remoteID
    self.chainLength = secrets.ratchet.chainLength
    self.fingerprint = secrets.ratchet.fingerprint
    // [CTR-2]
    self.firstCounter = firstCounter
    let (transport, exchange) = (secrets.transportKeys, secrets.exchangeKeys)
    self.secrets = Secret(joining: [
      transport.sending(role), transport.receiving(role), exchange.sending(role), exchange.receiving(role),
    ])
  }

  /// Reads from the line by which the secrets are found; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  func prefetch() -> UInt64 { firstCounter }

  /// Reads from the secrets; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  func prefetchSecrets() -> UInt64 { secrets.prefetch() }

  private func make(_ part: Part, _ provider: any CryptoProvider) -> any PacketKey {
    provider.packetKey(secrets.part(part.rawValue, of: PacketSize.key))
  }

  /// Seals data. It is kept in ``SendContext``.
  func makeSendingKey(_ provider: any CryptoProvider) -> any PacketKey { make(.sending, provider) }

  /// Opens data.
  func receivingKey(_ provider: any CryptoProvider) -> any PacketKey {
    if let receiving { return receiving }
    let key = make(.receiving, provider)
    receiving = key
    return key
  }

  /// Opens one packet of several fragments, where the provider can do it piece by piece. It is the caller's alone until it is
  /// given back: packets whose fragments come in turns have a stream each.
  func takeReceivingStream(_ provider: any CryptoProvider) -> (any PacketStream)? {
    receivingStream.take() ?? receivingKey(provider).makeStream()
  }

  /// Keeps the stream for the next packet, if the key that it was made of is still kept.
  func giveBack(_ stream: any PacketStream) {
    if receiving != nil { receivingStream = stream }
  }

  /// Gives up what can be made again.
  func evictExpanded() {
    receiving = nil
    receivingStream = nil
  }

  /// Seals control packets under kek. They are rare, so the keyed object is made when needed.
  func makeExchangeSendingKey(_ provider: any CryptoProvider) -> any PacketKey { make(.exchangeSending, provider) }
  /// Opens control packets under kek.
  func makeExchangeReceivingKey(_ provider: any CryptoProvider) -> any PacketKey { make(.exchangeReceiving, provider) }
}
