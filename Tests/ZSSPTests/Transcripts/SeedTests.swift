// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP
@testable import ZSSPSwiftCrypto

@Suite("The KEM of the ML-KEM transcript, computed", .tags(.fast))
struct SeedTests {
  /// The values that the replay takes from the tape are those that FIPS 203 derives from the seed.
  @Test("the seed gives the key on the tape, and the key the secret")
  func key() throws {
    let transcript = try Transcript.load("oracle_mlkem1024")
    let seed = try #require(transcript.kemSeed).bytes
    let key = try MLKEM1024DecapsulationKey(seed: seed.rawBytes, for: .mlkem1024)
    var keys = 0
    var secrets = 0
    for entry in transcript.alice.tape {
      switch entry {
      case .encapsulationKey(let recorded):
        #expect(key.encapsulationKey == recorded)
        keys += 1
      case .decapsulation(let ciphertext, let recorded):
        let secret = try key.decapsulate(ciphertext.rawBytes)
        #expect(secret.hex == recorded.hex)
        secrets += 1
      default: break
      }
    }
    #expect(keys == 1 && secrets == 1)
  }
}
