// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("One-time passwords (section 9)", .tags(.fast))
struct OneTimePasswordTests {
  // [RAT-10]
  @Test("recorded states", arguments: providers, try vectors("unit")["otp"].array)
  func recorded(_ provider: any CryptoProvider, _ vector: JSON) throws {
    let password = try vector["otp"].bytes
    let state = RatchetState(oneTimePassword: password.rawBytes, provider: provider)
    #expect(state.key.hex == (try vector["ratchet_key"].string))
    #expect(state.fingerprint.bytes.hex == (try vector["ratchet_fingerprint"].string))
    #expect(state.chainLength == (try vector["chain_len"].uint64))
    #expect(!state.isEmpty)
  }
}
