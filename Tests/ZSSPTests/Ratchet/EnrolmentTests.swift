// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

/// First contact by one-time passwords, as applications have it.
@Suite(.tags(.fast))
struct EnrolmentTests {
  /// A store in memory that can fail.
  private actor Store: RatchetStore {
    private var memory = MemoryRatchetStore()
    private var fails = false

    var pairs: [PublicKey: RatchetPair] { memory.pairs }

    func setFails(_ fails: Bool) { self.fails = fails }

    func answer(_ request: StoreRequest) async -> StoreAnswer { fails ? .failed : memory.answer(request) }
  }

  private let peer = SwiftCryptoProvider().generateAgreementKey().publicKey
  private static let text = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

  // [RAT-10]
  /// The bytes are those of the text, and not those that it encodes.
  @Test func whichBytesCount() throws {
    let password = try OneTimePassword(text: " \(Self.text)\r\n")
    #expect(password.text == Self.text)
    let bytes = Array(Self.text.utf8)
    #expect(
      password.state(provider: .swiftCrypto) == RatchetState(oneTimePassword: bytes.rawBytes, provider: .swiftCrypto))
  }

  @Test func madePasswordsAreReadAgain() throws {
    let one = OneTimePassword.generate()
    let other = OneTimePassword.generate()
    #expect(one.text.count == 44 && one.text.hasSuffix("=") && one.text != other.text)
    let again = try OneTimePassword(text: one.text)
    #expect(again.state(provider: .swiftCrypto) == one.state(provider: .swiftCrypto))
    #expect(again.state(provider: .swiftCrypto) != other.state(provider: .swiftCrypto))
    var dumped = ""
    dump(one, to: &dumped)
    #expect(!"\(one)".contains(one.text) && !dumped.contains(one.text))
  }

  @Test(arguments: ["", "secret", "   " + String(repeating: "x", count: 31) + "   "])
  func shortPasswordsAreRefused(text: String) {
    #expect(throws: OneTimePasswordError.self) { try OneTimePassword(text: text) }
  }

  // [RAT-11]
  @Test func enrolling() async throws {
    let store = Store()
    let password = try OneTimePassword(text: Self.text)
    #expect(try await store.enrol(peer, with: password) == .stored)
    // A restart enrols again, before the first contact.
    #expect(try await store.enrol(peer, with: password) == .stored)
    let pair = try #require(await store.pairs[peer])
    #expect(pair == RatchetPair(password.state(provider: .swiftCrypto)))
    // After it.
    let next = RatchetState(
      key: .zeros(32), fingerprint: Fingerprint([UInt8](repeating: 7, count: 32).rawBytes), chainLength: 2)
    _ = await store.answer(.compareAndSwap(peer: peer, expected: pair, new: RatchetPair(next)))
    #expect(try await store.enrol(peer, with: password) == .alreadyKnown)
    #expect(await store.pairs[peer] == RatchetPair(next))
  }

  @Test func forgetting() async throws {
    let store = Store()
    #expect(try await store.forget(peer) == false)
    _ = try await store.enrol(peer, with: .generate())
    #expect(try await store.forget(peer))
    #expect(await store.pairs.isEmpty)
    #expect(try await store.enrol(peer, with: .generate()) == .stored)
  }

  @Test func aStoreThatFails() async throws {
    let store = Store()
    await store.setFails(true)
    let peer = peer
    await #expect(throws: RatchetStoreError.self) { try await store.enrol(peer, with: .generate()) }
    await #expect(throws: RatchetStoreError.self) { try await store.forget(peer) }
  }
}
