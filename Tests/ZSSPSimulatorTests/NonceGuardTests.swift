// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSimulator

@Suite("The ledger of nonces", .tags(.fast))
struct NonceGuardTests {
  private let ledger = NonceLedger()

  /// Seals a message under a key of equal bytes, made anew as another endpoint would.
  private func seal(_ message: [UInt8], nonce: Nonce, key: UInt8 = 1) {
    let guarded = NonceGuard(StandInCrypto(), ledger: ledger)
    var sealed = [UInt8](repeating: 0, count: message.count + 16)
    let packetKey = guarded.packetKey(Secret(count: 32) { $0.store(key, at: 0) })
    sealed.withMutableBytes { packetKey.seal(message.rawBytes, nonce: nonce, authenticating: RawSpan(), into: &$0) }
  }

  @Test("the same nonce under different keys, and different nonces under one key, are no reuse")
  func noReuse() {
    for key in 1...3 as ClosedRange<UInt8> {
      for counter in 0..<10 as Range<UInt64> {
        for type in 0...8 as ClosedRange<UInt8> { seal([1], nonce: Nonce(type: type, counter: counter), key: key) }
      }
    }
    #expect(ledger.reusedNonce == nil && ledger.seals == 270)
  }

  /// The two tags are equal without a plaintext as well, which must not count as a resent packet.
  @Test(
    "a counter that is used twice is noticed, also where there is no plaintext",
    arguments: [0, 1, 3, 4, 5, 6, 7, 8] as [UInt8])
  func reuse(type: UInt8) {
    let nonce = Nonce(type: type, counter: 5)
    seal([], nonce: nonce)
    #expect(ledger.reusedNonce == nil)
    seal([], nonce: nonce)
    #expect(ledger.reusedNonce == nonce)
  }

  @Test("an X3 that is computed again is the same packet; two X3s are not")
  func completion() {
    let nonce = Nonce(type: 2, counter: 0)
    seal([1, 2, 3], nonce: nonce)
    seal([1, 2, 3], nonce: nonce)
    #expect(ledger.reusedNonce == nil)
    seal([1, 2, 4], nonce: nonce)
    #expect(ledger.reusedNonce == nonce)
  }
}
