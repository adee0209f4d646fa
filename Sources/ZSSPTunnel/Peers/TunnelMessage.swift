// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// What a message of a session is to the tunnel. IP packets begin with 4 or 6 in the upper half of their first byte; what begins with a 0
/// there is between the tunnels themselves, and what they do not know they ignore.
enum TunnelMessage: Equatable {
  /// Nothing: version 0.1.0 kept the way open with it.
  case keepalive
  /// Asks for an answer with the same number, as version 0.1.0 did to find out whether its peer was there.
  case question(UInt64)
  case answer(UInt64)
  /// An IP packet.
  case packet
  case unknown

  private static let questionMark: UInt8 = 1
  private static let answerMark: UInt8 = 2
  private static let size = 9

  init(_ message: RawSpan) {
    guard message.byteCount > 0 else {
      self = .keepalive
      return
    }
    switch (message[byte: 0], message.byteCount) {
    case (Self.questionMark, Self.size): self = .question(message.load(UInt64.self, at: 1))
    case (Self.answerMark, Self.size): self = .answer(message.load(UInt64.self, at: 1))
    case (0..<0x10, _): self = .unknown
    default: self = .packet
    }
  }

  /// The message's bytes; none for a packet, which are its own.
  var bytes: [UInt8] {
    switch self {
    case .question(let number): [Self.questionMark] + Self.bigEndian(number)
    case .answer(let number): [Self.answerMark] + Self.bigEndian(number)
    case .keepalive, .packet, .unknown: []
    }
  }

  private static func bigEndian(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
  }
}
