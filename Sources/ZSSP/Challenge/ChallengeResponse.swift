// SPDX-License-Identifier: Apache-2.0

/// The 32 bytes at the end of X1, and of a challenge packet: `counter (8) || mac (16) || pow (8)` (section 8).
package struct ChallengeResponse: Sendable, Hashable {
  /// Bob's counter.
  package let counter: UInt64
  /// Bob's mark on the counter and Alice's address, as two integers.
  let macHigh, macLow: UInt64
  /// What Alice counts up to prove her work.
  package let proof: UInt64

  package init(counter: UInt64, mac: RawSpan, proof: UInt64) {
    self.init(counter: counter, mac.load(UInt64.self, at: 0), mac.load(UInt64.self, at: 8), proof: proof)
  }

  private init(counter: UInt64, _ macHigh: UInt64, _ macLow: UInt64, proof: UInt64) {
    (self.counter, self.macHigh, self.macLow, self.proof) = (counter, macHigh, macLow, proof)
  }

  // [CHAL-2]
  /// The first Hello's: zeros, and a random `proof` that a challenge must repeat.
  package static func unchallenged(proof: UInt64) -> ChallengeResponse {
    ChallengeResponse(counter: 0, 0, 0, proof: proof)
  }

  /// Whether this claims to answer a challenge.
  var isAnswer: Bool { macHigh | macLow != 0 }

  // [CHAL-1]
  /// Reads 32 bytes.
  package init(_ bytes: RawSpan) {
    self.init(
      counter: bytes.load(UInt64.self, at: 0), bytes.load(UInt64.self, at: 8), bytes.load(UInt64.self, at: 16),
      proof: bytes.load(UInt64.self, at: 24))
  }

  /// The same with another proof.
  package func with(proof: UInt64) -> ChallengeResponse {
    ChallengeResponse(counter: counter, macHigh, macLow, proof: proof)
  }

  // [CHAL-1]
  /// Writes 32 bytes.
  package func write(to bytes: inout MutableRawSpan) {
    bytes.store(counter, at: 0)
    bytes.store(macHigh, at: 8)
    bytes.store(macLow, at: 16)
    bytes.store(proof, at: 24)
  }

  /// The 32 bytes.
  package var bytes: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: PacketSize.challenge)
    bytes.withMutableBytes { write(to: &$0) }
    return bytes
  }
}
