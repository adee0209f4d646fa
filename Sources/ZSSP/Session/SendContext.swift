// SPDX-License-Identifier: Apache-2.0

/// What it takes to send data on a session, in one place: the keys, expanded, and what is fixed for as long as the current key is.
///
/// It is moved out of the session while messages are sent and back afterwards (``SendRun``), and not copied: a copy would
/// count a reference to each of the keys, which with sessions that are in no cache costs more than to seal a short message.
struct SendContext: ~Copyable {
  /// Seals data.
  let packetKey: any PacketKey
  /// Protects headers.
  let headerKey: any HeaderKey
  /// Seals data of several fragments, once there was such a message and where the provider can do it piece by piece.
  private var stream: (any PacketStream)?
  /// The peer's name for the key.
  let keyID: KeyID
  /// The session's send counter when the key was made; uses count from there (section 4).
  let firstCounter: UInt64

  init(_ key: SessionKey, _ headerKey: any HeaderKey, _ provider: any CryptoProvider) {
    packetKey = key.makeSendingKey(provider)
    self.headerKey = headerKey
    keyID = key.remoteID
    firstCounter = key.firstCounter
  }

  /// Seals data of several fragments piece by piece; nil where the provider cannot do so.
  mutating func takeStream() -> (any PacketStream)? {
    stream.take() ?? packetKey.makeStream()
  }

  /// Keeps the stream for the next message.
  mutating func giveBack(_ stream: any PacketStream) { self.stream = stream }

  /// Has the keys fetched from memory; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  borrowing func prefetch() {
    packetKey.prefetch()
    headerKey.prefetch()
  }
}
