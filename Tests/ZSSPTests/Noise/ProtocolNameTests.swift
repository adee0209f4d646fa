// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("Protocol names (sections 3 and 13)", .tags(.fast))
struct ProtocolNameTests {
  /// `h` and `ck` begin as the name, padded with zeros to 64 bytes.
  private func check(_ name: StaticString, wanted: [UInt8], provider: any CryptoProvider) {
    let state = SymmetricState(protocolName: name, provider: provider)
    #expect(state.hash.hex == wanted.hex)
    #expect(state.chainingKey.hex == wanted.hex)
  }

  // [NOISE-1] [PROF-4] [PROF-7]
  @Test("recorded names", arguments: providers)
  func recorded(_ provider: any CryptoProvider) throws {
    let names = try vectors("unit")["protocol_names_h0_ck0"]
    check(Profile.kyber1024.handshakeName, wanted: try names["xk"].bytes, provider: provider)
    check(Profile.upstream.handshakeName, wanted: try names["xk"].bytes, provider: provider)
    check(Profile.rekeyName, wanted: try names["kk"].bytes, provider: provider)
  }

  // [PROF-6]
  @Test("the name with ML-KEM", arguments: providers)
  func mlkem(_ provider: any CryptoProvider) {
    let name = [UInt8]("Noise_XKhfs+psk2_P384+MLKEM1024_AESGCM_SHA512".utf8)
    check(
      Profile.mlkem1024.handshakeName, wanted: name + [UInt8](repeating: 0, count: 64 - name.count), provider: provider)
  }

  // [PROF-1] [PROF-4] [PROF-5] [PROF-6]
  @Test(
    "what else a profile decides",
    arguments: [(.kyber1024, .kyber1024, false), (.upstream, .kyber1024, true), (.mlkem1024, .mlkem1024, false)]
      as [(Profile, KEM, Bool)])
  func decisions(_ profile: Profile, _ kem: KEM, _ repeatsStaticToken: Bool) {
    #expect(profile.kem == kem)
    #expect(profile.repeatsStaticToken == repeatsStaticToken)
  }
}
