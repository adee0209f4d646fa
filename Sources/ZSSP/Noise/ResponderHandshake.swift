// SPDX-License-Identifier: Apache-2.0

/// The responder's half of Noise XKhfs+psk2 (section 6). Each step takes its inputs and
/// computes what the next step needs; none stores state.
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
    #if KeyLog
      /// The keys and hashes of the messages so far.
      var sealings: [KeyLog.Sealing] { state.sealings }
    #endif
  }

  /// The values that the responder keeps until X3.
  package struct Response: Sendable {
    fileprivate var state: SymmetricState
    fileprivate let ephemeral: any AgreementPrivateKey
    /// X2 up to the sealed kid_B.
    fileprivate let packet: [UInt8]
    /// The ratchet state in use.
    package let used: RatchetState
    #if KeyLog
      /// The keys and hashes of the messages so far.
      var sealings: [KeyLog.Sealing] { state.sealings }
    #endif

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
    _ packet: [UInt8], staticKey: any AgreementPrivateKey, profile: Profile, provider: any CryptoProvider
  ) throws(AuthenticationFailure) -> Computation<Hello> {
    let keyID = KeyID(packet.rawBytes)
    // [XK-10]
    guard keyID != .none else { throw AuthenticationFailure() }
    var state = SymmetricState(protocolName: profile.handshakeName, provider: provider)
    // [XK-3]
    state.mixHash(packet.rawBytes.extracting(0..<KeyID.size))
    let ownKey = staticKey.publicKey
    state.mixHash(ownKey.bytes)

    // e
    // [XK-4]
    return try .decode(received: packet.rawBytes.extracting(4..<53)) { ephemeral in
      state.mixEphemeral(ephemeral.encoded)
      // es
      return .agree(staticKey, ephemeral) { shared throws(AuthenticationFailure) in
        state.mixKey(agreed: shared)
        // e1
        // [XK-9]
        let encapsulationKey = try state.decryptAndHash(
          packet.rawBytes.extracting(53..<1637), nonce: Nonce(.hello, counter: 0))
        // payload
        let fingerprints = try state.decryptAndHash(
          packet.rawBytes.extracting(1637..<1717), nonce: Nonce(.hello, counter: 1))
        // [NOISE-15] [XK-5]
        return .done(
          Hello(
            initiatorKeyID: keyID, fingerprint1: Fingerprint(fingerprints.rawBytes),
            fingerprint2: Fingerprint(fingerprints.rawBytes.extracting(32..<64)),
            headerKeys: state.additionalKeys("ASKH"), state: state, ephemeral: ephemeral,
            encapsulationKey: encapsulationKey))
      }
    }
  }

  /// Computes X2 up to the sealed kid_B, with the ratchet state that was found, or the empty one.
  package static func response(
    to hello: Hello, using ratchet: RatchetState, profile: Profile, provider: any CryptoProvider
  ) -> Computation<Response> {
    var state = hello.state
    // e
    // [XK-15]
    return .generate { ephemeral in
      state.mixEphemeral(ephemeral.publicKey)
      // ee
      return .agree(ephemeral, hello.ephemeral) { shared throws(AuthenticationFailure) in
        state.mixKey(agreed: shared)
        // ekem1
        let encapsulation = try provider.encapsulating(to: hello.encapsulationKey, for: profile.kem)
        let sealedCiphertext = state.encryptAndHash(
          encapsulation.ciphertext.rawBytes, nonce: Nonce(.response, counter: 0))
        let sharedSecret = encapsulation.sharedSecret
        state.mixKey(sharedSecret.bytes)
        // psk
        // [XK-16]
        let ratchetKey = ratchet.key
        state.mixKeyAndHash(ratchetKey.bytes)
        return .done(
          Response(
            state: state, ephemeral: ephemeral, packet: ephemeral.publicKey.array + sealedCiphertext, used: ratchet))
      }
    }
  }

  /// Reads X3 (at least 81 bytes).
  package static func completion(
    of response: Response, _ packet: [UInt8], provider: any CryptoProvider
  ) throws(AuthenticationFailure) -> Computation<Completion> {
    let sealedStaticSize = PublicKey.size + PacketSize.tag
    guard packet.count >= PacketSize.completionWithoutIdentity else { throw AuthenticationFailure() }
    var state = response.state
    // s
    // [XK-22] [XK-27]
    let encoded = try state.decryptAndHash(
      packet.rawBytes.extracting(0..<sealedStaticSize), nonce: Nonce(.completion, counter: 1))
    return try .decode(received: encoded.rawBytes) { initiator in
      // se
      .agree(response.ephemeral, initiator) { shared throws(AuthenticationFailure) in
        state.mixKey(agreed: shared)
        // payload
        let identity = try state.decryptAndHash(
          packet.rawBytes.extracting(sealedStaticSize..<packet.count), nonce: Nonce(.completion, counter: 0))
        return .done(
          Completion(initiator: initiator, identity: identity, secrets: SessionSecrets(state, after: response.used)))
      }
    }
  }
}
