// SPDX-License-Identifier: Apache-2.0

/// Receives the messages of a session in place, instead of through ``Session/messages``: they are
/// neither copied nor queued. See ``Session/setMessageHandler(_:)``.
///
/// A handler that references its session keeps the endpoint open until the session ends. It is
/// called on the session's event loop, which does nothing else meanwhile: it must not block, and
/// should take less than a microsecond per message.
public protocol MessageHandler: AnyObject, Sendable {
  /// Called with a message of the peer, of 0…``Session/largestMessage`` bytes at the peer's MTU.
  /// The bytes are valid during the call only.
  func receive(_ message: RawSpan)

  /// Receives a message with the IPv4 type of service or IPv6 traffic class of its last datagram; 0
  /// if unknown, and always 0 outside of this package. The network may change it,
  /// so it is not authentic.
  func receive(_ message: RawSpan, trafficClass: UInt8)

  /// Called after the last message of a burst. A handler that gathers messages processes them now.
  func burstEnded()

  /// Called when the peer has answered a probe. `roundTrip` is nil if it is unknown which one; see
  /// ``UDPOptions/keepAlive`` and ``Session/probe()``.
  func answered(roundTrip: Duration?)
}

extension MessageHandler {
  /// Calls ``receive(_:)``.
  public func receive(_ message: RawSpan, trafficClass: UInt8) { receive(message) }

  /// Does nothing.
  public func burstEnded() {}

  /// Does nothing.
  public func answered(roundTrip: Duration?) {}
}
