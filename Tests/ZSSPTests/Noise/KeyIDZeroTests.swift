// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP

@Suite("Key id 0 is none (sections 4 and 14)", .tags(.fast))
struct KeyIDZeroTests {
  // [DEC-20]
  /// Bob has proved who he is, and names no key. Alice once stored the new ratchet state and sent
  /// X3 to key id 0, where the packets of strangers go.
  @Test("an X2 that names key id 0 does not authenticate", arguments: providers, [false, true])
  func responseThatNamesNoKey(_ provider: any CryptoProvider, namesAKey: Bool) throws {
    let alice = provider.generateAgreementKey()
    let bob = provider.generateAgreementKey()
    let hello = try InitiatorHandshake.hello(
      keyID: KeyID(value: 7), to: provider.agreementPublicKey(bob.publicKey), ratchet: .empty, profile: .kyber1024,
      provider: provider
    ).run(provider)
    let received = try ResponderHandshake.hello(
      hello.packet, staticKey: bob, profile: .kyber1024, provider: provider
    ).run(provider)
    var response = try ResponderHandshake.response(
      to: received, using: .empty, profile: .kyber1024, provider: provider
    ).run(provider)
    let packet = response.finish(keyID: namesAKey ? KeyID(value: 9) : .none)
    let completion = try? InitiatorHandshake.completion(
      of: hello, response: packet, ratchet: .empty, allowsDowngrade: true, staticKey: alice, identity: [],
      provider: provider
    ).run(provider)
    #expect(completion?.responderKeyID == (namesAKey ? KeyID(value: 9) : nil))
  }
}
