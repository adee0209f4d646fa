// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// The encoding of keys and fingerprints in a database, and the tags that find states.
///
/// With a key for states at rest, each record is encrypted with AES-256-GCM under its own key. That
/// key is derived from the key for states at rest and 32 random bytes at the start of the record.
/// So the nonce can be constant, and the number of records has no practical limit. The purpose of a
/// record is authenticated with it, so records of different peers or different places cannot be
/// exchanged.
public struct SecretsCodec: Sendable {
  private static let secretsSize = 64
  private static let saltSize = 32
  private static let tagSize = 16

  private let provider: any CryptoProvider
  private let key: Secret?
  private let tagKey: Secret

  /// Creates a codec of the key for records, if there is one, and the key for tags.
  private init(_ provider: any CryptoProvider, key: Secret?, tagKey: Secret) {
    self.provider = provider
    self.key = key
    self.tagKey = tagKey
  }

  /// Returns a codec with a new key for tags, and the record of that key, which the caller stores.
  public static func make(_ provider: any CryptoProvider, key: Secret?) -> (SecretsCodec, kept: [UInt8]) {
    let codec = SecretsCodec(
      provider, key: key, tagKey: Secret(count: 32) { bytes in provider.fillRandom(&bytes) })
    return (codec, codec.record(of: codec.tagKey, context: Array("tag key".utf8)))
  }

  /// Creates the codec that ``make(_:key:)`` returned, from its stored record `kept`. Nil if `key`
  /// differs.
  public init?(_ provider: any CryptoProvider, key: Secret?, kept: [UInt8]) {
    let unkeyed = SecretsCodec(provider, key: key, tagKey: .zeros(32))
    guard let tagKey = unkeyed.secret(in: kept, size: 32, context: Array("tag key".utf8)) else { return nil }
    self.init(provider, key: key, tagKey: tagKey)
  }

  /// Returns true if the record that ``make(_:key:)`` returned is encrypted.
  public static func isEncrypted(kept: [UInt8]) -> Bool { kept.count != 32 }

  /// Returns the tag that finds a state: 32 bytes that reveal nothing of the fingerprint without
  /// the key. Nil for the empty state, which is never found.
  public func tag(_ fingerprint: Fingerprint) -> [UInt8]? {
    guard !fingerprint.isEmpty else { return nil }
    let bytes = fingerprint.bytes
    return provider.authenticator(key: tagKey.bytes).authenticationCode(for: bytes.rawBytes).prefix(32).bytes.array
  }

  /// Returns the record of a state's secrets, for this peer and place (1 or 2).
  public func encode(_ state: RatchetState, peer: PublicKey, place: UInt8) -> [UInt8] {
    let fingerprint = state.fingerprint.bytes
    let secrets = Secret(count: Self.secretsSize) { bytes in
      bytes.write(state.key.bytes, at: 0)
      bytes.write(fingerprint.rawBytes, at: 32)
    }
    return record(of: secrets, context: Self.context(peer, place: place, chainLength: state.chainLength))
  }

  /// Returns the state of a record. Nil if the record is damaged, or belongs to another peer, place
  /// or chain length.
  public func decode(_ record: [UInt8], chainLength: UInt64, peer: PublicKey, place: UInt8) -> RatchetState? {
    guard
      let secrets = secret(
        in: record, size: Self.secretsSize, context: Self.context(peer, place: place, chainLength: chainLength)),
      secrets.count == Self.secretsSize
    else { return nil }
    return RatchetState(
      key: secrets.prefix(32), fingerprint: Fingerprint(secrets.bytes.extracting(32..<64)), chainLength: chainLength)
  }

  /// Returns the record of a peer's revoked states: 32 bytes for each name, the newest last, and
  /// the revision in 8 bytes, big-endian. Nil if nothing was revoked.
  public func encode(_ revoked: RevokedStates, peer: PublicKey) -> [UInt8]? {
    guard !revoked.isEmpty else { return nil }
    let revision = (0..<8).map { UInt8(truncatingIfNeeded: revoked.revision >> (56 - 8 * $0)) }
    let bytes = revoked.names.flatMap(\.bytes) + revision
    return record(of: Secret(copying: bytes.rawBytes), context: Self.revocations(peer))
  }

  /// Returns the revoked states of a record. Nil if it is damaged or belongs to another peer. A
  /// record of version 0.1.0 ends with the last name.
  public func decode(revoked record: [UInt8], peer: PublicKey) -> RevokedStates? {
    let size = key == nil ? record.count : record.count - Self.saltSize - Self.tagSize
    guard size > 0, size <= RevokedStates.limit * Fingerprint.size + 8,
      let secret = secret(in: record, size: size, context: Self.revocations(peer))
    else { return nil }
    let count = size / Fingerprint.size
    let names = (0..<count).map { index in
      Fingerprint(secret.bytes.extracting(index * Fingerprint.size..<(index + 1) * Fingerprint.size))
    }
    switch size % Fingerprint.size {
    case 0: return RevokedStates(names, revision: UInt64(count))
    case 8:
      let revision = (size - 8..<size).reduce(0) { $0 << 8 | UInt64(secret.bytes[byte: $1]) }
      guard revision >= UInt64(count) else { return nil }
      return RevokedStates(names, revision: revision)
    default: return nil
    }
  }

  private static func revocations(_ peer: PublicKey) -> [UInt8] { Array("given up".utf8) + peer.array }

  private static func context(_ peer: PublicKey, place: UInt8, chainLength: UInt64) -> [UInt8] {
    Array("state".utf8) + peer.array + [place]
      + (0..<8).map { UInt8(truncatingIfNeeded: chainLength >> (56 - 8 * $0)) }
  }

  private func record(of secret: Secret, context: [UInt8]) -> [UInt8] {
    guard let key else { return secret.bytes.array }
    var record = [UInt8](repeating: 0, count: Self.saltSize + secret.count + Self.tagSize)
    record.withMutableBytes { bytes in
      var salt = bytes.slice(0..<Self.saltSize)
      provider.fillRandom(&salt)
    }
    let packetKey = packetKey(key, salt: record[..<Self.saltSize])
    record.withMutableBytes { bytes in
      var sealed = bytes.slice(Self.saltSize..<bytes.byteCount)
      packetKey.seal(secret.bytes, nonce: Self.nonce, authenticating: context.rawBytes, into: &sealed)
    }
    return record
  }

  private func secret(in record: [UInt8], size: Int, context: [UInt8]) -> Secret? {
    guard let key else { return record.count == size ? Secret(copying: record.rawBytes) : nil }
    guard record.count == Self.saltSize + size + Self.tagSize else { return nil }
    var isGood = false
    let opened = Secret(count: size + Self.tagSize) { bytes in
      bytes.write(record.rawBytes.extracting(Self.saltSize..<record.count), at: 0)
      isGood = packetKey(key, salt: record[..<Self.saltSize])
        .open(&bytes, nonce: Self.nonce, authenticating: context.rawBytes)
    }
    return isGood ? opened.prefix(size) : nil
  }

  private static let nonce = Nonce(type: 0, counter: 0)

  /// Returns the key of one record, in the manner of SP 800-108: a PRF over a label and 32 random
  /// bytes.
  private func packetKey(_ key: Secret, salt: ArraySlice<UInt8>) -> any PacketKey {
    let input = Array("ZSSP ratchet store record".utf8) + [0] + salt
    return provider.packetKey(
      provider.authenticator(key: key.bytes).authenticationCode(for: input.rawBytes).prefix(32))
  }
}
