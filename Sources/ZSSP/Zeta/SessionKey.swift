// SPDX-License-Identifier: Apache-2.0

/// One key of a session, seen from one side: what both handshakes produce (section 6).
final class SessionKey {
  /// This side's name for the key; the peer writes it in what it sends.
  let localID: KeyID
  /// The peer's name for the key.
  let remoteID: KeyID
  /// The chain length of the ratchet state that was derived with the key.
  let chainLength: UInt64
  /// The fingerprint of that state, which two keys share only if they came of one handshake.
  let fingerprint: Fingerprint
  /// The session's send counter when the key was made; uses count from there (section 4).
  let firstCounter: UInt64
  /// Seals data.
  let sendingKey: any PacketKey
  /// Opens data.
  let receivingKey: any PacketKey
  /// kek. Control packets are rare, so the keyed objects are made when needed.
  private let exchangeSend: Secret
  private let exchangeReceive: Secret
  private let provider: any CryptoProvider

  init(
    _ secrets: SessionSecrets, role: Role, localID: KeyID, remoteID: KeyID, firstCounter: UInt64,
    provider: any CryptoProvider
  ) {
    self.localID = localID
    self.remoteID = remoteID
    self.chainLength = secrets.ratchet.chainLength
    self.fingerprint = secrets.ratchet.fingerprint
    self.firstCounter = firstCounter
    self.provider = provider
    sendingKey = provider.packetKey(secrets.transportKeys.sending(role))
    receivingKey = provider.packetKey(secrets.transportKeys.receiving(role))
    exchangeSend = secrets.exchangeKeys.sending(role)
    exchangeReceive = secrets.exchangeKeys.receiving(role)
  }

  /// Seals control packets under kek.
  func makeExchangeSendingKey() -> any PacketKey { provider.packetKey(exchangeSend) }
  /// Opens control packets under kek.
  func makeExchangeReceivingKey() -> any PacketKey { provider.packetKey(exchangeReceive) }
}
