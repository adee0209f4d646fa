// SPDX-License-Identifier: Apache-2.0

/// Counters of one session.
public struct SessionStatistics: Sendable, Hashable {
  /// Delivered messages.
  public internal(set) var messagesReceived: UInt64 = 0
  /// Bytes of the delivered messages.
  public internal(set) var bytesReceived: UInt64 = 0
  /// Sent messages.
  public internal(set) var messagesSent: UInt64 = 0
  /// Bytes of the sent messages.
  public internal(set) var bytesSent: UInt64 = 0
  /// Handshakes begun, including the first.
  public internal(set) var handshakes: UInt64 = 0
  /// Completed re-keys.
  public internal(set) var rekeys: UInt64 = 0
}
