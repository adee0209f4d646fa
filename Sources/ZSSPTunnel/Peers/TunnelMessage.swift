// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A message of a session. IP packets have 4 or 6 in the upper half of their first byte. A 0 there
/// marks a message between tunnels; unknown ones are ignored.
enum TunnelMessage: Equatable {
  /// An empty message, with which version 0.1.0 kept the path open.
  case keepalive
  /// A request for an answer with the same number, with which version 0.1.0 checked its peer.
  case question(UInt64)
  case answer(UInt64)
  /// A request for an answer with the same number, in a datagram of a chosen size; see
  /// ``PathMTUSearch``.
  case probe(UInt64)
  case probeAnswer(UInt64)
  /// An IP packet.
  case packet
  case unknown

  private static let questionMark: UInt8 = 1
  private static let answerMark: UInt8 = 2
  private static let probeMark: UInt8 = 3
  private static let probeAnswerMark: UInt8 = 4
  private static let size = 9

  init(_ message: RawSpan) {
    guard message.byteCount > 0 else {
      self = .keepalive
      return
    }
    switch (message[byte: 0], message.byteCount) {
    case (Self.questionMark, Self.size): self = .question(message.load(UInt64.self, at: 1))
    case (Self.answerMark, Self.size): self = .answer(message.load(UInt64.self, at: 1))
    case (Self.probeMark, Self.size...): self = .probe(message.load(UInt64.self, at: 1))
    case (Self.probeAnswerMark, Self.size): self = .probeAnswer(message.load(UInt64.self, at: 1))
    case (0..<0x10, _): self = .unknown
    default: self = .packet
    }
  }

  /// The bytes of the message; empty for a packet, which is its own message.
  var bytes: [UInt8] {
    switch self {
    case .question(let number): [Self.questionMark] + Self.bigEndian(number)
    case .answer(let number): [Self.answerMark] + Self.bigEndian(number)
    case .probe(let number): [Self.probeMark] + Self.bigEndian(number)
    case .probeAnswer(let number): [Self.probeAnswerMark] + Self.bigEndian(number)
    case .keepalive, .packet, .unknown: []
    }
  }

  /// Returns the bytes of a probe, padded to the size of its datagram.
  static func bytes(of probe: PathMTUSearch.Probe) -> [UInt8] {
    let bytes = Self.probe(probe.number).bytes
    return bytes + [UInt8](repeating: 0, count: max(0, probe.size - NetworkPlan.messageOverhead - bytes.count))
  }

  private static func bigEndian(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
  }
}
