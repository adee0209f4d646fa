// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
@testable import ZSSP

/// Peers that know the keys of a handshake and break its rules.
@Suite("Peers that do not keep to the protocol", .tags(.fast))
struct HostilePeerTests {
  private let provider = FastCrypto(seed: 1)

  /// A pair of which both change the headers of packets of `type` as `tamper` says.
  private func pair(_ type: PacketType, tamper: @escaping @Sendable (inout MutableRawSpan) -> Void) throws -> Pair {
    var settings = Settings()
    settings.mtu = 9000
    settings.handshakeMTU = 9000
    let tampering = TamperingProvider(base: provider) { block in
      if block[byte: 3] == type.rawValue { tamper(&block) }
    }
    return try Pair(provider: tampering, settings: settings)
  }

  // [PKT-7] [XK-18]
  @Test("An X2 of another counter than its tag says is no answer, and costs no work")
  func responseOfAnotherCounter() throws {
    let pair = try pair(.response) { $0.store($0.bytes.load(UInt64.self, at: 4) ^ 1, at: 4) }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "A1")
    #expect(pair.alice.statistics[.notAuthentic] == 1 && pair.alice.statistics.publicKeyWork == 1)
  }

  // [HDR-3]
  @Test("An X2 whose counter has more than three bytes is unexpected")
  func responseOfAnImplausibleCounter() throws {
    let pair = try pair(.response) { $0.store($0.bytes.load(UInt64.self, at: 4) | 1 << 24, at: 4) }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "A1" && pair.alice.statistics[.unexpected] == 1)
  }

  // [HDR-5]
  @Test("Data under the key id of a Hello is unexpected, for that id has no key yet")
  func dataInThePlaceOfTheResponse() throws {
    let pair = try pair(.response) { $0.store(PacketType.data.rawValue, at: 3) }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "A1" && pair.alice.statistics[.unexpected] == 1)
  }

  // [HDR-6]
  @Test("A fragment of X1, X3 or a challenge is unexpected for a session", arguments: [0, 2, 9] as [UInt8])
  func packetOfATypeThatIsForNoSession(_ type: UInt8) throws {
    let pair = try pair(.keyConfirm) { $0.store(type, at: 3) }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "A3" && pair.alice.statistics[.unexpected] == 1)
  }

  // [HDR-4] [PKT-7]
  @Test("An X3 of another counter than 0 is unexpected")
  func completionOfAnotherCounter() throws {
    let pair = try pair(.completion) { $0.store(1 as UInt64, at: 4) }
    let session = try pair.alice.open(to: pair.bob, at: pair.now)
    pair.settle()
    #expect(pair.alice.state(session) == "A3" && pair.bob.statistics[.unexpected] == 1)
    #expect(pair.bob.establishedSession == nil)
  }

  // [PKT-7] [XK-8]
  @Test("A Hello of another counter than its tag says is dropped before any work")
  func helloOfAnotherCounter() throws {
    let pair = try Pair(provider: provider)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    for datagram in pair.intercept() {
      var bytes = datagram.bytes
      bytes[15] ^= 1
      pair.bob.receive(bytes, from: datagram.from, at: pair.now)
    }
    #expect(pair.bob.statistics[.notAuthentic] == 1 && pair.bob.statistics.publicKeyWork == 0)
  }

  // [DEC-19]
  @Test("A Hello of another counter than its tag says is dropped before the policy is asked")
  func helloOfAnotherCounterIsNotChallenged() throws {
    let pair = try Pair(provider: provider, helloPolicy: .challenge)
    _ = try pair.alice.open(to: pair.bob, at: pair.now)
    for datagram in pair.intercept() {
      var bytes = datagram.bytes
      bytes[15] ^= 1
      pair.bob.receive(bytes, from: datagram.from, at: pair.now)
    }
    #expect(pair.bob.statistics[.notAuthentic] == 1 && pair.bob.statistics[.challenged] == 0)
  }

  // [XK-10]
  @Test("A Hello that names key id 0 is dropped before any work")
  func helloOfKeyIDZero() throws {
    let pair = try Pair(provider: provider)
    let hello = try InitiatorHandshake.hello(
      keyID: .none, to: provider.agreementPublicKey(pair.bob.publicKey), ratchet: .empty, profile: .kyber1024,
      provider: provider
    ).run(provider)
    let packet = hello.packet + ChallengeResponse.unchallenged(proof: 1).bytes
    let outcomes = Fragment.cut(packet, into: 2, .hello, counter: hello.counter, keyID: 0).map {
      pair.bob.receive($0.header.bytes + $0.payload, from: pair.alice.address, at: pair.now)
    }
    #expect(outcomes == [.handled, .dropped(.malformed)])
    #expect(pair.bob.statistics.publicKeyWork == 0 && pair.bob.halfOpenCount == 0)
  }

  // [DEC-20]
  @Test("A K1 that names key id 0 is not authentic, and neither is a K2")
  func rekeyOfKeyIDZero() throws {
    let one = provider.generateAgreementKey()
    let other = provider.generateAgreementKey()
    let initiator = RekeyHandshake.StaticKeys(own: one, peer: try provider.agreementPublicKey(other.publicKey))
    let responder = RekeyHandshake.StaticKeys(own: other, peer: try provider.agreementPublicKey(one.publicKey))
    func answer(_ keyID: UInt32) throws -> (RekeyHandshake.Initiation, RekeyHandshake.Response) {
      let initiation = try RekeyHandshake.initiation(
        keyID: KeyID(value: keyID), keys: initiator, ratchet: .empty, provider: provider
      ).run(provider)
      let response = try RekeyHandshake.response(
        to: initiation.packet, keys: responder, ratchet: .empty, profile: .kyber1024, provider: provider
      ).run(provider)
      return (initiation, response)
    }
    #expect(throws: AuthenticationFailure.self) { _ = try answer(0) }
    for keyID in [0, 1] as [UInt32] {
      var (initiation, response) = try answer(1)
      let packet = response.finish(keyID: KeyID(value: keyID)).packet
      let completion = try? RekeyHandshake.completion(
        of: initiation, packet, keys: initiator, profile: .kyber1024
      ).run(provider)
      #expect(completion?.responderKeyID == (keyID == 0 ? nil : KeyID(value: keyID)))
    }
  }
}
