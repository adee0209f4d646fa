// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPStoreCodec
import ZSSPSwiftCrypto

/// Records at rest: what each is bound to, and what records and tags tell those who have no key.
@Suite(.tags(.fast))
struct SecretsCodecTests {
  private let provider = SwiftCryptoProvider()
  private let key = Secret(copying: [UInt8](repeating: 0x5A, count: 32).rawBytes)
  private let otherKey = Secret(copying: [UInt8](repeating: 0x5B, count: 32).rawBytes)
  private let peer: PublicKey
  private let otherPeer: PublicKey
  private let state = SecretsCodecTests.state(1, chainLength: 0x0102_0304_0506_0708)

  init() throws {
    peer = try #require(PublicKey([2] + [UInt8](repeating: 1, count: 48)))
    otherPeer = try #require(PublicKey([2] + [UInt8](repeating: 2, count: 48)))
  }

  private static func state(_ number: UInt8, chainLength: UInt64) -> RatchetState {
    RatchetState(
      key: Secret(copying: [UInt8](repeating: number, count: 32).rawBytes),
      fingerprint: Fingerprint([UInt8](repeating: number ^ 0xF0, count: 32).rawBytes), chainLength: chainLength)
  }

  private func codec(_ key: Secret?) -> SecretsCodec { SecretsCodec.make(provider, key: key).0 }

  private func decode(
    _ record: [UInt8], with codec: SecretsCodec, chainLength: UInt64? = nil, peer: PublicKey? = nil, place: UInt8 = 1
  ) -> RatchetState? {
    codec.decode(record, chainLength: chainLength ?? state.chainLength, peer: peer ?? self.peer, place: place)
  }

  @Test(arguments: [false, true]) func aRecordIsReadAsItWasWritten(isEncrypted: Bool) throws {
    let codec = codec(isEncrypted ? key : nil)
    let record = codec.encode(state, peer: peer, place: 1)
    let read = try #require(decode(record, with: codec))
    #expect(read == state && read.key == state.key)
  }

  @Test func anEncryptedRecordIsReadForItsPeerPlaceAndChainLengthOnly() {
    let codec = codec(key)
    let record = codec.encode(state, peer: peer, place: 1)
    #expect(decode(record, with: codec, peer: otherPeer) == nil)
    #expect(decode(record, with: codec, place: 2) == nil)
    // Every byte of the chain length counts.
    for byte in 0..<8 { #expect(decode(record, with: codec, chainLength: state.chainLength ^ 1 << (8 * byte)) == nil) }
  }

  @Test func anEncryptedRecordIsReadUnderItsKeyOnly() throws {
    let (codec, kept) = SecretsCodec.make(provider, key: key)
    let record = codec.encode(state, peer: peer, place: 1)
    #expect(decode(record, with: self.codec(otherKey)) == nil)
    #expect(SecretsCodec(provider, key: otherKey, kept: kept) == nil)
    #expect(SecretsCodec(provider, key: nil, kept: kept) == nil)
    let reopened = try #require(SecretsCodec(provider, key: key, kept: kept))
    #expect(decode(record, with: reopened) == state)
  }

  @Test func aForgedRecordIsRefused() {
    let codec = codec(key)
    let record = codec.encode(state, peer: peer, place: 1)
    for index in record.indices {
      var forged = record
      forged[index] ^= 1
      #expect(decode(forged, with: codec) == nil, "byte \(index)")
    }
  }

  @Test(arguments: [false, true]) func aRecordOfAnotherSizeIsRefused(isEncrypted: Bool) {
    let codec = codec(isEncrypted ? key : nil)
    let record = codec.encode(state, peer: peer, place: 1)
    #expect(decode(record + [0], with: codec) == nil)
    #expect(decode(record.dropLast(), with: codec) == nil)
    #expect(decode([], with: codec) == nil)
  }

  /// One key and nonce for two records would give away what they have in common.
  @Test func recordsOfOneStateHaveNothingInCommon() {
    let codec = codec(key)
    let records = (0..<2).map { _ in codec.encode(state, peer: peer, place: 1) }
    let salts = records.map { Array($0.prefix(32)) }
    #expect(salts[0] != salts[1] && salts.allSatisfy { Set($0).count > 8 })
    // Salt, key, fingerprint, tag: all of the secrets look different each time.
    for range in [32..<64, 64..<96, 96..<112] { #expect(records[0][range] != records[1][range]) }
  }

  @Test func aNonceIsNotUsedAgainUnderOneKey() {
    let codec = codec(key)
    let other = Self.state(2, chainLength: state.chainLength)
    let records = [state, other].map { codec.encode($0, peer: peer, place: 1) }
    // With one key stream the ciphertexts would differ as the plaintexts do: by 1 ^ 2 in every
    // byte.
    #expect(zip(records[0][32..<96], records[1][32..<96]).contains { $0 ^ $1 != 1 ^ 2 })
  }

  /// The names of states that were revoked, at most ``RevokedStates/limit``.
  private func revoked(_ count: Int) -> RevokedStates {
    RevokedStates(
      (0..<count).map { Self.state(UInt8($0), chainLength: 1).fingerprint }, revision: UInt64(count) + 1_000_000)
  }

  @Test(arguments: [false, true], [1, RevokedStates.limit]) func revokedNamesAreReadAsTheyWereWritten(
    isEncrypted: Bool, count: Int
  ) throws {
    let codec = codec(isEncrypted ? key : nil)
    let record = try #require(codec.encode(revoked(count), peer: peer))
    #expect(codec.decode(revoked: record, peer: peer) == revoked(count))
    #expect(codec.decode(revoked: record + [0], peer: peer) == nil)
    #expect(codec.encode(RevokedStates(), peer: peer) == nil)
  }

  /// Otherwise a record of another peer would make a revoked state valid again.
  @Test func revokedNamesAreReadForTheirPeerOnly() throws {
    let codec = codec(key)
    let record = try #require(codec.encode(revoked(3), peer: peer))
    #expect(codec.decode(revoked: record, peer: otherPeer) == nil)
    // A record of a state is not one of names, and the reverse.
    #expect(codec.decode(revoked: codec.encode(state, peer: peer, place: 1), peer: peer) == nil)
    let two = try #require(codec.encode(RevokedStates(revoked(2).names, revision: 2), peer: peer))
    #expect(decode(two, with: codec) == nil)
  }

  /// A record with more names than allowed is refused before they are read.
  @Test func moreNamesThanThereCanBeAreRefused() {
    let codec = codec(nil)
    let size = (RevokedStates.limit + 1) * 32
    #expect(codec.decode(revoked: [UInt8](repeating: 7, count: size), peer: peer) == nil)
    #expect(codec.decode(revoked: [], peer: peer) == nil)
  }

  @Test(arguments: [false, true]) func tagsSayNothingWithoutTheirKey(isEncrypted: Bool) throws {
    let key = isEncrypted ? key : nil
    let (first, kept) = SecretsCodec.make(provider, key: key)
    let second = codec(key)
    let tag = try #require(first.tag(state.fingerprint))
    #expect(tag.count == 32)
    #expect(second.tag(state.fingerprint) != tag)
    #expect(first.tag(Self.state(2, chainLength: 1).fingerprint) != tag)
    // The tags of a store do not change when it is opened again.
    #expect(SecretsCodec(provider, key: key, kept: kept)?.tag(state.fingerprint) == tag)
  }

  @Test func theEmptyStateHasNoTag() { #expect(codec(key).tag(RatchetState.empty.fingerprint) == nil) }
}
