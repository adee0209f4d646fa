// SPDX-License-Identifier: Apache-2.0

/// The result of receiving a datagram.
public enum ReceiveResult: Sendable, Hashable {
  /// The datagram was a message. The plaintext lies in the datagram, at `range`.
  case message(SessionID, range: Range<Int>)
  /// The datagram completed a message of several fragments.
  case assembled(SessionID, message: [UInt8])
  /// The datagram was accepted, and there is nothing to deliver. There may be outputs.
  case handled
  /// The datagram changed nothing, and was counted.
  case dropped(DropReason)
}
