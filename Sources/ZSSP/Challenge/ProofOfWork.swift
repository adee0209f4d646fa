// SPDX-License-Identifier: Apache-2.0

/// The proof of work in front of a Hello (section 8): the first 13 bits of `HASH(response)` are
/// zero.
package enum ProofOfWork {
  // [CHAL-5]
  /// The number of leading zero bits. Finding a proof takes 8,192 hashes on average, checking it
  /// one.
  package static let difficulty = 13

  /// Returns true if the response proves work.
  package static func holds(_ response: ChallengeResponse, provider: any CryptoProvider) -> Bool {
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    return holds(response, buffer: &bytes, provider: provider)
  }

  /// Counts the proof up from `start`, wrapping around, until the response proves work.
  package static func solve(
    _ challenge: ChallengeResponse, from start: UInt64, provider: any CryptoProvider
  ) -> ChallengeResponse {
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    var proof = start
    while true {
      let response = challenge.with(proof: proof)
      if holds(response, buffer: &bytes, provider: provider) { return response }
      // [CHAL-11]
      proof &+= 1
    }
  }

  private static func holds(
    _ response: ChallengeResponse, buffer bytes: inout InlineArray<32, UInt8>, provider: any CryptoProvider
  ) -> Bool {
    do {
      var elements = bytes.mutableSpan
      var raw = unsafe elements.mutableBytes
      response.write(to: &raw)
    }
    let digest = unsafe provider.hash(bytes.span.bytes, RawSpan())
    return digest.bytes.load(UInt16.self, at: 0) >> (16 - UInt16(difficulty)) == 0
  }
}
