// SPDX-License-Identifier: Apache-2.0

/// Counters of one session.
public struct SessionStatistics: Sendable, Hashable {
  /// Messages that were delivered.
  public internal(set) var messagesReceived: UInt64 = 0
  /// Bytes of the messages that were delivered.
  public internal(set) var bytesReceived: UInt64 = 0
  /// Messages that were sent.
  public internal(set) var messagesSent: UInt64 = 0
  /// Bytes of the messages that were sent.
  public internal(set) var bytesSent: UInt64 = 0
  /// Handshakes begun, the first included.
  public internal(set) var handshakes: UInt64 = 0
  /// Re-keys completed.
  public internal(set) var rekeys: UInt64 = 0
}
