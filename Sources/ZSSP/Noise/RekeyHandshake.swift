// SPDX-License-Identifier: Apache-2.0

// [KK-3] [NOISE-14]
/// Noise KKpsk0, the re-key (section 7). "Initiator" is the sender of K1, whatever its role in XK.
///
/// The packets here are the inner ones, of 69 bytes each. K1 and K2 are these, sealed again with
/// the kek of the current key.
package enum RekeyHandshake {
  /// The size of both inner packets in bytes.
  package static let innerSize = PublicKey.size + KeyID.size + PacketSize.tag

  /// The static keys of both sides, from the point of view of one side.
  package struct StaticKeys: Sendable {
    package let own: any AgreementPrivateKey
    package let peer: any AgreementPublicKey

    package init(own: any AgreementPrivateKey, peer: any AgreementPublicKey) {
      self.own = own
      self.peer = peer
    }
  }

  /// The values that the initiator keeps between K1 and K2.
  package struct Initiation: Sendable {
    /// K1, inner.
    package let packet: [UInt8]
    fileprivate let state: SymmetricState
    fileprivate let ephemeral: any AgreementPrivateKey
    fileprivate let used: RatchetState
  }

  /// The values that the responder has computed before it seals its key id.
  package struct Response: Sendable {
    /// kid_I
    package let initiatorKeyID: KeyID
    fileprivate var state: SymmetricState
    fileprivate let ephemeral: PublicKey
    fileprivate let used: RatchetState

    // [KK-7]
    /// Writes the inner K2, which names the responder's new key, and derives the keys.
    package mutating func finish(keyID: KeyID) -> (packet: [UInt8], secrets: SessionSecrets) {
      let keyIDBytes = keyID.bytes
      let packet = ephemeral.array + state.encryptAndHash(keyIDBytes.rawBytes, nonce: Nonce(.rekeyComplete, counter: 0))
      return (packet, SessionSecrets(state, after: used))
    }
  }

  /// Writes the inner K1.
  package static func initiation(
    keyID: KeyID, keys: StaticKeys, ratchet: RatchetState, provider: any CryptoProvider
  ) throws(AuthenticationFailure) -> Initiation {
    var state = begin(initiator: keys.own.publicKey, responder: keys.peer.encoded, ratchet: ratchet, provider: provider)
    // e
    // [KK-6]
    let ephemeral = provider.generateAgreementKey()
    state.mixEphemeral(ephemeral.publicKey)
    // es, ss
    try state.mixKey(agreementOf: ephemeral, keys.peer)
    try state.mixKey(agreementOf: keys.own, keys.peer)
    // payload
    let keyIDBytes = keyID.bytes
    let sealed = state.encryptAndHash(keyIDBytes.rawBytes, nonce: Nonce(.rekeyInit, counter: 0))
    return Initiation(packet: ephemeral.publicKey.array + sealed, state: state, ephemeral: ephemeral, used: ratchet)
  }

  /// Reads the inner K1, and computes K2.
  package static func response(
    to packet: RawSpan, keys: StaticKeys, ratchet: RatchetState, profile: Profile, provider: any CryptoProvider
  ) throws(AuthenticationFailure) -> Response {
    var state = begin(initiator: keys.peer.encoded, responder: keys.own.publicKey, ratchet: ratchet, provider: provider)
    // e
    // [KK-6]
    let received = try provider.receivedKey(packet.extracting(0..<PublicKey.size))
    state.mixEphemeral(received.encoded)
    // es, ss
    try state.mixKey(agreementOf: keys.own, received)
    try state.mixKey(agreementOf: keys.own, keys.peer)
    // payload
    let keyID = try readKeyID(packet, with: &state, nonce: Nonce(.rekeyInit, counter: 0))

    // e
    // [KK-7]
    let ephemeral = provider.generateAgreementKey()
    state.mixEphemeral(ephemeral.publicKey)
    // ee
    try state.mixKey(agreementOf: ephemeral, received)
    // se
    // [PROF-1] [PROF-5]
    if profile.repeatsStaticToken {
      try state.mixKey(agreementOf: keys.own, received)
    } else {
      try state.mixKey(agreementOf: ephemeral, keys.peer)
    }
    return Response(initiatorKeyID: keyID, state: state, ephemeral: ephemeral.publicKey, used: ratchet)
  }

  /// Reads the inner K2.
  package static func completion(
    of initiation: Initiation, _ packet: RawSpan, keys: StaticKeys, profile: Profile, provider: any CryptoProvider
  ) throws(AuthenticationFailure) -> (responderKeyID: KeyID, secrets: SessionSecrets) {
    var state = initiation.state
    // e
    // [KK-7]
    let received = try provider.receivedKey(packet.extracting(0..<PublicKey.size))
    state.mixEphemeral(received.encoded)
    // ee
    try state.mixKey(agreementOf: initiation.ephemeral, received)
    // se
    // [PROF-1] [PROF-5]
    if profile.repeatsStaticToken {
      try state.mixKey(agreementOf: initiation.ephemeral, keys.peer)
    } else {
      try state.mixKey(agreementOf: keys.own, received)
    }
    // payload
    let keyID = try readKeyID(packet, with: &state, nonce: Nonce(.rekeyComplete, counter: 0))
    return (keyID, SessionSecrets(state, after: initiation.used))
  }

  /// Mixes in the pre-messages and the psk.
  private static func begin(
    initiator: PublicKey, responder: PublicKey, ratchet: RatchetState, provider: any CryptoProvider
  ) -> SymmetricState {
    var state = SymmetricState(protocolName: Profile.rekeyName, provider: provider)
    // [KK-4]
    state.mixHash(initiator.bytes)
    state.mixHash(responder.bytes)
    // [KK-5]
    let ratchetKey = ratchet.key
    state.mixKeyAndHash(ratchetKey.bytes)
    return state
  }

  /// Reads the key id at the end of an inner packet. Zero is refused, because it is not a key id.
  private static func readKeyID(
    _ packet: RawSpan, with state: inout SymmetricState, nonce: Nonce
  ) throws(AuthenticationFailure) -> KeyID {
    let bytes = try state.decryptAndHash(packet.extracting(PublicKey.size..<innerSize), nonce: nonce)
    let keyID = KeyID(bytes.rawBytes)
    // [DEC-20]
    guard keyID != .none else { throw AuthenticationFailure() }
    return keyID
  }
}
