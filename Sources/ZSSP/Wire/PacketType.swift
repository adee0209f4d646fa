// SPDX-License-Identifier: Apache-2.0

// [PKT-5]
/// The type of a packet (section 4).
package enum PacketType: UInt8, Sendable, CaseIterable {
  /// X1, the initiator's first message.
  case hello = 0
  /// X2, the responder's answer.
  case response = 1
  /// X3, which identifies the initiator.
  case completion = 2
  /// C1, which confirms that the sender holds the new key.
  case keyConfirm = 3
  /// C2, the answer to C1.
  case acknowledge = 4
  /// K1, the first message of a re-key.
  case rekeyInit = 5
  /// K2, the second message of a re-key.
  case rekeyComplete = 6
  /// D, which says that the responder's application refused the initiator.
  case rejected = 7
  /// P, a message of the application.
  case data = 8
  /// A challenge to a Hello.
  case challenge = 9
}
