// SPDX-License-Identifier: Apache-2.0

/// The 32 bytes at the end of X1 and of a challenge packet: `counter (8) || mac (16) || pow (8)`
/// (section 8).
package struct ChallengeResponse: Sendable, Hashable {
  /// The responder's counter.
  package let counter: UInt64
  /// The responder's MAC of the counter and the initiator's address, as two integers.
  let macHigh, macLow: UInt64
  /// The number that the initiator counts up until the response proves work.
  package let proof: UInt64

  package init(counter: UInt64, mac: RawSpan, proof: UInt64) {
    self.init(
      counter: counter, macHigh: mac.load(UInt64.self, at: 0), macLow: mac.load(UInt64.self, at: 8), proof: proof)
  }

  private init(counter: UInt64, macHigh: UInt64, macLow: UInt64, proof: UInt64) {
    self.counter = counter
    self.macHigh = macHigh
    self.macLow = macLow
    self.proof = proof
  }

  // [CHAL-2]
  /// Returns the response of a first Hello: zeros, and a random `proof` that a challenge must
  /// repeat.
  package static func unchallenged(proof: UInt64) -> ChallengeResponse {
    ChallengeResponse(counter: 0, macHigh: 0, macLow: 0, proof: proof)
  }

  /// True if this claims to answer a challenge.
  var isAnswer: Bool { macHigh | macLow != 0 }

  // [CHAL-1]
  /// Reads 32 bytes.
  package init(_ bytes: RawSpan) {
    self.init(
      counter: bytes.load(UInt64.self, at: 0), macHigh: bytes.load(UInt64.self, at: 8),
      macLow: bytes.load(UInt64.self, at: 16), proof: bytes.load(UInt64.self, at: 24))
  }

  /// Returns a copy with another proof.
  package func with(proof: UInt64) -> ChallengeResponse {
    ChallengeResponse(counter: counter, macHigh: macHigh, macLow: macLow, proof: proof)
  }

  // [CHAL-1]
  /// Writes 32 bytes.
  package func write(to bytes: inout MutableRawSpan) {
    bytes.store(counter, at: 0)
    bytes.store(macHigh, at: 8)
    bytes.store(macLow, at: 16)
    bytes.store(proof, at: 24)
  }

  /// The encoded 32 bytes.
  package var bytes: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: PacketSize.challenge)
    bytes.withMutableBytes { write(to: &$0) }
    return bytes
  }
}
