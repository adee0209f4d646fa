// SPDX-License-Identifier: Apache-2.0

/// Takes the messages of a session where they lie, instead of through ``Session/messages``: nothing is copied, queued or
/// allocated for them. See ``Session/setMessageHandler(_:)``.
///
/// A handler that holds its session keeps the endpoint open until the session ends. It is called on the endpoint's event loop, which
/// does nothing else meanwhile: it must not block, and should be done in less than a microsecond per message.
public protocol MessageHandler: AnyObject, Sendable {
  /// A message of the peer, 0…``Session/largestMessage`` bytes of the peer's MTU. The bytes are there during the call only.
  func receive(_ message: RawSpan)

  /// The same with the IPv4 type of service or IPv6 traffic class of the datagram that the message came in, or of the last of
  /// several; 0 where that is not known. Outside of this package nobody asks for it, and it is 0. The network may have changed it: it
  /// is not authentic.
  func receive(_ message: RawSpan, trafficClass: UInt8)

  /// Of the messages that came together, all were given. A handler that gathers them acts now.
  func burstEnded()

  /// The peer has answered a probe, after `roundTrip` if it is known which one; see ``UDPOptions/keepAlive`` and ``Session/probe()``.
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
