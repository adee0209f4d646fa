// SPDX-License-Identifier: Apache-2.0

/// The values needed to send data on a session: the expanded keys, and everything that stays the
/// same as long as the current key does.
///
/// It is moved out of the session while messages are sent (``SendRun``), and moved back afterwards.
/// It is not copied: a copy would count a reference to each of the keys. If the sessions are in no
/// cache, that costs more than sealing a short message.
struct SendContext: ~Copyable {
  /// Seals data.
  let packetKey: any PacketKey
  /// Protects headers.
  let headerKey: any HeaderKey
  /// Seals data of several fragments, after the first such message, if the provider can do it in
  /// pieces.
  private var stream: (any PacketStream)?
  /// The peer's id of the key.
  let keyID: KeyID
  /// The session's send counter when the key was made. Uses of the key are counted from there
  /// (section 4).
  let firstCounter: UInt64

  init(_ key: SessionKey, headerKey: any HeaderKey, provider: any CryptoProvider) {
    packetKey = key.makeSendingKey(provider)
    self.headerKey = headerKey
    keyID = key.remoteID
    firstCounter = key.firstCounter
  }

  /// Takes out the stream that seals data of several fragments in pieces; nil if the provider has
  /// none.
  mutating func takeStream() -> (any PacketStream)? {
    stream.take() ?? packetKey.makeStream()
  }

  /// Caches the stream for the next message.
  mutating func giveBack(_ stream: any PacketStream) { self.stream = stream }

  /// Prefetches the keys; see ``Endpoint/prefetch(_:)``.
  @inline(__always)
  borrowing func prefetch() {
    packetKey.prefetch()
    headerKey.prefetch()
  }
}
