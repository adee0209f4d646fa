// SPDX-License-Identifier: Apache-2.0

/// The responder's half of Noise XKhfs+psk2 (section 6). Each step takes its inputs and returns
/// what the next step needs; none stores state.
package enum ResponderHandshake {
  /// The values that the responder has after X1.
  package struct Hello: Sendable {
    /// kid_A, not zero.
    package let initiatorKeyID: KeyID
    /// rf1 and rf2, which the initiator offers.
    package let fingerprint1: Fingerprint
    package let fingerprint2: Fingerprint
    /// hk, which protects headers from now on and never changes.
    package let headerKeys: DirectionalKeys
    fileprivate let state: SymmetricState
    fileprivate let ephemeral: any AgreementPublicKey
    fileprivate let encapsulationKey: [UInt8]
  }

  /// The values that the responder keeps until X3.
  package struct Response: Sendable {
    fileprivate var state: SymmetricState
    fileprivate let ephemeral: any AgreementPrivateKey
    /// X2 up to the sealed kid_B.
    fileprivate let packet: [UInt8]
    /// The ratchet state in use.
    package let used: RatchetState

    /// Writes the end of X2, which names the responder's key.
    package mutating func finish(keyID: KeyID) -> [UInt8] {
      let keyIDBytes = keyID.bytes
      // [XK-15]
      return packet + state.encryptAndHash(keyIDBytes.rawBytes, nonce: Nonce(.response, counter: 0))
    }
  }

  /// The values that the responder has after X3.
  package struct Completion: Sendable {
    /// S_A, decoded.
    package let initiator: any AgreementPublicKey
    /// The initiator's description of itself, 0 to 4096 bytes.
    package let identity: [UInt8]
    /// The keys of the session.
    package let secrets: SessionSecrets
  }

  /// Reads X1 without the challenge response (1717 bytes).
  package static func hello(
    _ packet: RawSpan, staticKey: any AgreementPrivateKey, profile: Profile, provider: any CryptoProvider
  ) throws(AuthenticationFailure) -> Hello {
    let keyID = KeyID(packet)
    // [XK-10]
    guard keyID != .none else { throw AuthenticationFailure() }
    var state = SymmetricState(protocolName: profile.handshakeName, provider: provider)
    // [XK-3]
    state.mixHash(packet.extracting(0..<KeyID.size))
    let ownKey = staticKey.publicKey
    state.mixHash(ownKey.bytes)

    // e
    // [XK-4]
    let ephemeral = try provider.receivedKey(packet.extracting(4..<53))
    state.mixEphemeral(ephemeral.encoded)
    // es
    try state.mixKey(agreementOf: staticKey, ephemeral)
    // e1
    // [XK-9]
    let encapsulationKey = try state.decryptAndHash(packet.extracting(53..<1637), nonce: Nonce(.hello, counter: 0))
    // payload
    let fingerprints = try state.decryptAndHash(packet.extracting(1637..<1717), nonce: Nonce(.hello, counter: 1))
    // [NOISE-15] [XK-5]
    return Hello(
      initiatorKeyID: keyID, fingerprint1: Fingerprint(fingerprints.rawBytes),
      fingerprint2: Fingerprint(fingerprints.rawBytes.extracting(32..<64)),
      headerKeys: state.additionalKeys("ASKH"), state: state, ephemeral: ephemeral,
      encapsulationKey: encapsulationKey)
  }

  /// Computes X2 up to the sealed kid_B, with the ratchet state that was found, or the empty one.
  package static func response(
    to hello: Hello, using ratchet: RatchetState, profile: Profile, provider: any CryptoProvider
  ) throws(AuthenticationFailure) -> Response {
    var state = hello.state
    // e
    // [XK-15]
    let ephemeral = provider.generateAgreementKey()
    state.mixEphemeral(ephemeral.publicKey)
    // ee
    try state.mixKey(agreementOf: ephemeral, hello.ephemeral)
    // ekem1
    let encapsulation = try provider.encapsulating(to: hello.encapsulationKey, for: profile.kem)
    let sealedCiphertext = state.encryptAndHash(encapsulation.ciphertext.rawBytes, nonce: Nonce(.response, counter: 0))
    let sharedSecret = encapsulation.sharedSecret
    state.mixKey(sharedSecret.bytes)
    // psk
    // [XK-16]
    let ratchetKey = ratchet.key
    state.mixKeyAndHash(ratchetKey.bytes)
    return Response(
      state: state, ephemeral: ephemeral, packet: ephemeral.publicKey.array + sealedCiphertext, used: ratchet)
  }

  /// Reads X3 (at least 81 bytes).
  package static func completion(
    of response: Response, _ packet: RawSpan, provider: any CryptoProvider
  ) throws(AuthenticationFailure) -> Completion {
    let sealedStaticSize = PublicKey.size + PacketSize.tag
    guard packet.byteCount >= PacketSize.completionWithoutIdentity else { throw AuthenticationFailure() }
    var state = response.state
    // s
    // [XK-22] [XK-27]
    let encoded = try state.decryptAndHash(
      packet.extracting(0..<sealedStaticSize), nonce: Nonce(.completion, counter: 1))
    let initiator = try provider.receivedKey(encoded.rawBytes)
    // se
    try state.mixKey(agreementOf: response.ephemeral, initiator)
    // payload
    let identity = try state.decryptAndHash(
      packet.extracting(sealedStaticSize..<packet.byteCount), nonce: Nonce(.completion, counter: 0))
    return Completion(
      initiator: initiator, identity: identity, secrets: SessionSecrets(state, after: response.used))
  }
}
