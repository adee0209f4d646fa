// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPRandom
import ZSSPSwiftCrypto

/// All cases but those of the database. Inputs of both classes are made alike, in random order,
/// before they are used.
func timingCases() throws -> [TimingCase] {
  comparisons() + primitives() + (try keyParsing()) + lookUps() + (try headers())
}

// MARK: Controls and comparisons

/// Compares as production code must not: up to the first byte that differs.
@inline(never)
private func earlyExitEqual(_ left: RawSpan, _ right: RawSpan) -> Bool {
  guard left.byteCount == right.byteCount else { return false }
  for index in 0..<left.byteCount where left[byte: index] != right[byte: index] { return false }
  return true
}

/// Two byte strings that differ in their first byte, or in their last one.
private func differing(_ count: Int) -> (Bool, inout SplitMix64) -> (left: [UInt8], right: [UInt8]) {
  { isFirst, random in
    let left = random.bytes(count)
    var right = left.map { $0 }
    right[isFirst ? 0 : count - 1] ^= 0x55
    return (left, right)
  }
}

private func comparisons() -> [TimingCase] {
  [
    TimingCase(
      "control: early-exit comparison, 16 bytes", classes: "first byte differs / last byte differs", expectation: .leak,
      samples: 100_000,
      calls: 16, make: differing(16)
    ) { number(earlyExitEqual($0.left.rawBytes, $0.right.rawBytes)) },
    TimingCase(
      "control: early-exit comparison, 4 bytes", classes: "first byte differs / last byte differs", expectation: .leak,
      samples: 100_000,
      calls: 16, make: differing(4)
    ) { number(earlyExitEqual($0.left.rawBytes, $0.right.rawBytes)) },
    TimingCase(
      "control: one class twice", classes: "random / random", expectation: .same, samples: 100_000, calls: 16,
      make: { _, random in (left: random.bytes(16), right: random.bytes(16)) }
    ) { number(earlyExitEqual($0.left.rawBytes, $0.right.rawBytes)) },
    TimingCase(
      "constantTimeEqual, 16 bytes (tags)", classes: "first byte differs / last byte differs", expectation: .same,
      samples: 200_000,
      calls: 16, make: differing(16)
    ) { number(constantTimeEqual($0.left.rawBytes, $0.right.rawBytes)) },
    TimingCase(
      "constantTimeEqual, 16 bytes (tags)", classes: "equal / random", expectation: .same, samples: 200_000, calls: 16,
      make: { isFirst, random in
        let left = random.bytes(16)
        let other = random.bytes(16)
        return (left: left, right: isFirst ? left.map { $0 } : other.map { $0 })
      }
    ) { number(constantTimeEqual($0.left.rawBytes, $0.right.rawBytes)) },
    TimingCase(
      "Secret ==, 32 bytes", classes: "equal / random", expectation: .same, samples: 200_000, calls: 16,
      make: { isFirst, random in
        let left = random.bytes(32)
        let other = random.bytes(32)
        return (
          left: Secret(copying: left.rawBytes), right: Secret(copying: (isFirst ? left : other).rawBytes)
        )
      }
    ) { number($0.left == $0.right) },
  ]
}

// MARK: Primitives

private func primitives() -> [TimingCase] {
  let provider = SwiftCryptoProvider()
  let nonce = Nonce(type: 8, counter: 1)
  let packetKey = provider.packetKey(provider.random(32))
  let blockKey = provider.headerKey(provider.random(32))
  let kemKey = provider.generateEncapsulationKey(for: .kyber1024)
  let zeros = [UInt8](repeating: 0, count: 64)
  return [
    TimingCase(
      "AES-256-GCM open, 64 bytes, swift-crypto", classes: "first byte of the tag wrong / last byte wrong",
      expectation: .same,
      samples: 100_000, calls: 4,
      make: { isFirst, random in
        let plaintext = random.bytes(64)
        var sealed = [UInt8](repeating: 0, count: 80)
        sealed.withMutableBytes {
          packetKey.seal(plaintext.rawBytes, nonce: nonce, authenticating: [UInt8]().rawBytes, into: &$0)
        }
        sealed[isFirst ? 64 : 79] ^= 1
        return sealed
      }
    ) { sealed in
      var message = sealed
      return message.withMutableBytes {
        number(packetKey.open(&$0, nonce: nonce, authenticating: [UInt8]().rawBytes))
      }
    },
    TimingCase(
      "header block, AES-256, swift-crypto", classes: "zeros / random", expectation: .same, samples: 100_000, calls: 8,
      make: { isFirst, random in
        let block = random.bytes(16)
        return isFirst ? [UInt8](zeros[..<16]) : block.map { $0 }
      }
    ) { input in
      var block = input
      block.withMutableBytes { blockKey.decrypt(&$0) }
      return Int(block[0])
    },
    TimingCase(
      "SHAKE256 (the hash of Kyber1024)", classes: "zeros / random", expectation: .same, samples: 100_000, calls: 2,
      make: { isFirst, random in
        let secret = random.bytes(64)
        return isFirst ? zeros.map { $0 } : secret.map { $0 }
      }
    ) { input in
      let output = Keccak.shake256(
        input.rawBytes.extracting(0..<32), appending: input.rawBytes.extracting(32..<64), count: 32)
      return Int(output.bytes.unsafeLoad(as: UInt8.self))
    },
    TimingCase(
      "KBKDF, a pair of keys", classes: "zero key / random key", expectation: .same, samples: 40_000, calls: 1,
      make: { isFirst, random in
        let key = random.bytes(48)
        return isFirst ? [UInt8](repeating: 0, count: 48) : key.map { $0 }
      }
    ) { key in
      let pair = KBKDF.derivePair(key: key.rawBytes, label: "ASKK", context: zeros.rawBytes, provider: provider)
      return pair.first.count
    },
    TimingCase(
      "Kyber1024 decapsulation, swift-crypto", classes: "accepted / rejected", expectation: .same, samples: 20_000,
      make: { isFirst, random in
        // Of a key of its own, so that encapsulation costs nothing here.
        guard let made = try? provider.encapsulate(to: kemKey.encapsulationKey.rawBytes, for: .kyber1024) else {
          return [UInt8]()
        }
        var ciphertext = made.ciphertext
        ciphertext[Int(random.next() % 1568)] ^= isFirst ? 0 : 1
        return ciphertext
      }
    ) { (try? kemKey.decapsulate($0.rawBytes))?.count ?? 0 },
  ]
}

// MARK: Keys

private func keyParsing() throws -> [TimingCase] {
  let provider = SwiftCryptoProvider()
  let peerKey = provider.generateAgreementKey().publicKey
  let peer = try provider.agreementPublicKey(peerKey)
  // Bytes below the group's order, whatever comes after the first.
  let scalar: @Sendable (Bool, inout SplitMix64) -> [UInt8] = { isFirst, random in
    let bytes = [0x7f] + random.bytes(47)
    return isFirst ? [UInt8](repeating: 0, count: 47) + [3] : bytes.map { $0 }
  }
  let fixed = StaticKey().pem
  let texts = (0..<32).map { _ in StaticKey().pem }
  return [
    TimingCase(
      "P-384 private key from 48 bytes, swift-crypto", classes: "the scalar 3 / random", expectation: .same,
      samples: 6000, make: scalar
    ) { (try? provider.agreementKey(privateBytes: $0.rawBytes)) == nil ? 0 : 1 },
    TimingCase(
      "P-384 agreement, swift-crypto", classes: "the scalar 3 / random", expectation: .same, samples: 6000,
      make: { isFirst, random in try? provider.agreementKey(privateBytes: scalar(isFirst, &random).rawBytes) }
    ) { key in (try? key?.sharedSecret(with: peer))?.count ?? 0 },
    TimingCase(
      "StaticKey(pem:)", classes: "one key / random keys", expectation: .same, samples: 6000,
      make: { isFirst, random in
        let text = texts[Int(random.next() % 32)]
        // A copy with storage of its own.
        return String(decoding: Array((isFirst ? fixed : text).utf8), as: UTF8.self)
      }
    ) { (try? StaticKey(pem: $0)) == nil ? 0 : 1 },
  ]
}

// MARK: Look-ups

/// Returns the pairs of 4,096 peers, and their fingerprints.
func filledStore() -> (pairs: [PublicKey: RatchetPair], known: [Fingerprint]) {
  var random = SplitMix64(seed: 0xF1)
  var pairs: [PublicKey: RatchetPair] = [:]
  var known: [Fingerprint] = []
  for _ in 0..<4096 {
    let fingerprint = Fingerprint(random.bytes(32).rawBytes)
    let state = RatchetState(
      key: Secret(copying: random.bytes(32).rawBytes), fingerprint: fingerprint, chainLength: 1)
    guard let peer = PublicKey([2] + random.bytes(48)) else { continue }
    pairs[peer] = RatchetPair(state)
    known.append(fingerprint)
  }
  return (pairs, known)
}

/// A fingerprint that is stored but for its last bit, or a random one: neither is known.
func unknown(_ known: [Fingerprint]) -> (Bool, inout SplitMix64) -> Fingerprint {
  { isFirst, random in
    var near = known[Int(random.next() % UInt64(known.count))].bytes
    near[31] ^= 1
    let other = random.bytes(32)
    return Fingerprint((isFirst ? near : other).rawBytes)
  }
}

/// A fingerprint that is stored, or a random one.
func knownOrNot(_ known: [Fingerprint]) -> (Bool, inout SplitMix64) -> Fingerprint {
  { isFirst, random in
    let there = known[Int(random.next() % UInt64(known.count))]
    let other = Fingerprint(random.bytes(32).rawBytes)
    return isFirst ? there : other
  }
}

private func lookUps() -> [TimingCase] {
  let (pairs, known) = filledStore()
  let box = StoreBox(MemoryRatchetStore(pairs: pairs))
  return [
    TimingCase(
      "fingerprint look-up, memory", classes: "31 bytes and 7 bits of a known one / random", expectation: .same,
      samples: 200_000, calls: 4,
      make: unknown(known)
    ) { box.find($0) },
    TimingCase(
      "fingerprint look-up, memory", classes: "known / random", expectation: .explained, samples: 50_000, calls: 4,
      make: knownOrNot(known)
    ) { box.find($0) },
  ]
}

private final class StoreBox {
  private var store: MemoryRatchetStore
  init(_ store: MemoryRatchetStore) { self.store = store }
  func find(_ fingerprint: Fingerprint) -> Int {
    if case .found = store.answer(.lookUp(fingerprint, second: .empty)) { 1 } else { 0 }
  }
}

// MARK: Headers

/// Datagrams for an established session, all of which are dropped: under the header key, one has a
/// type that no session takes and the other a counter that was received before.
private func headers() throws -> [TimingCase] {
  let keys = KeptHeaderKeys()
  let link = LinkBox(try Link(HeaderKeyProvider(base: SwiftCryptoProvider(), keys: keys)))
  let session = try link.establish()
  let samples = keys.secrets
  // Which of the keys protects what Bob receives: the one that makes his endpoint call a header
  // replayed.
  guard let key = samples.first(where: { link.drops(session, key: $0, type: 8, counter: 0) == .replayed }) else {
    throw MeasurementError.noSession
  }
  let header = SwiftCryptoProvider().headerKey(key)
  let keyID = link.keyID
  let source = link.source
  func datagram(_ type: UInt8, counter: UInt64, random: inout SplitMix64) -> [UInt8] {
    LinkBox.datagram(keyID, type: type, counter: counter, payload: random.bytes(48), header: header)
  }
  _ = source
  return [
    TimingCase(
      "header plausibility, 64 bytes", classes: "a type that is never plausible / a counter received before",
      expectation: .explained,
      samples: 100_000, make: { isFirst, random in datagram(isFirst ? 9 : 8, counter: 0, random: &random) }
    ) { link.receive($0) },
    TimingCase(
      "header plausibility, 64 bytes", classes: "counter 2^63 too far ahead / a counter received before",
      expectation: .explained,
      samples: 100_000, make: { isFirst, random in datagram(8, counter: isFirst ? 1 << 63 : 0, random: &random) }
    ) { link.receive($0) },
    TimingCase(
      "header plausibility, 64 bytes", classes: "one header / random headers, all of a type that is never plausible",
      expectation: .same, samples: 100_000,
      make: { isFirst, random in
        let counter = random.next()
        let start = random.bytes(4)
        return LinkBox.datagram(
          keyID, type: 9, counter: isFirst ? 1 : counter,
          payload: (isFirst ? [1, 2, 3, 4] : start) + random.bytes(44), header: header)
      }
    ) { link.receive($0) },
    TimingCase(
      "header plausibility, 64 bytes", classes: "one forged header / random headers, none plausible",
      expectation: .explained, samples: 100_000,
      make: { isFirst, random in
        // What a stranger can send: blocks that decrypt to anything. The type of nearly all of them
        // is none at all.
        let block = random.bytes(16)
        return keyID + (isFirst ? [UInt8](repeating: 0x5a, count: 16) : block) + random.bytes(44)
      }
    ) { link.receive($0) },
  ]
}

private final class KeptHeaderKeys: @unchecked Sendable {
  var secrets: [Secret] = []
}

private struct HeaderKeyProvider: DerivedProvider {
  let base: any CryptoProvider
  let keys: KeptHeaderKeys
  func headerKey(_ key: Secret) -> any HeaderKey {
    keys.secrets.append(key)
    return base.headerKey(key)
  }
}

/// A link whose second peer is sent made-up datagrams.
private final class LinkBox {
  private let link: Link
  private(set) var keyID: [UInt8] = []
  var source: Address { link.alice.address }

  init(_ link: Link) { self.link = link }

  func establish() throws -> SessionID {
    let (one, other) = try link.establish()
    try link.alice.endpoint.send([UInt8]([1]).rawBytes, on: one, at: link.now)
    keyID = [UInt8](link.alice.pump(at: link.now)[0][..<4])
    return other
  }

  /// Returns the reason for which a datagram under this header key is dropped.
  func drops(_ session: SessionID, key: Secret, type: UInt8, counter: UInt64) -> DropReason? {
    let bytes = Self.datagram(
      keyID, type: type, counter: counter, payload: [UInt8](repeating: 7, count: 48),
      header: SwiftCryptoProvider().headerKey(key))
    var copy = bytes
    let reception = copy.withMutableBytes { link.bob.endpoint.receive(&$0, from: source, at: link.now) }
    if case .dropped(let reason) = reception { return reason }
    return nil
  }

  static func datagram(
    _ keyID: [UInt8], type: UInt8, counter: UInt64, payload: [UInt8], header: any HeaderKey
  ) -> [UInt8] {
    let counter = (0..<8).map { UInt8(truncatingIfNeeded: counter >> (56 - 8 * $0)) }
    var bytes = keyID + [0, 1, 0, type] + counter + payload
    bytes.withMutableBytes {
      var block = $0.slice(4..<20)
      header.encrypt(&block)
    }
    return bytes
  }

  func receive(_ datagram: [UInt8]) -> Int {
    var bytes = datagram
    let now = link.now
    let source = source
    let reception = bytes.withMutableBytes { link.bob.endpoint.receive(&$0, from: source, at: now) }
    if case .dropped = reception { return 1 }
    return 0
  }
}
