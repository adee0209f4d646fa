// SPDX-License-Identifier: Apache-2.0

/// The initiator's half of Noise XKhfs+psk2 (section 6). Each step takes its inputs and
/// computes what the next step needs; none stores state.
package enum InitiatorHandshake {
  /// The values that the initiator keeps between X1 and X2.
  package struct Hello: Sendable {
    /// X1 without the challenge response, 1717 bytes.
    package let packet: [UInt8]
    /// hk, which protects headers from now on and never changes.
    package let headerKeys: DirectionalKeys
    fileprivate let state: SymmetricState
    fileprivate let ephemeral: any AgreementPrivateKey
    fileprivate let decapsulationKey: any DecapsulationKey
    #if KeyLog
      /// The keys and hashes of the messages so far.
      var sealings: [KeyLog.Sealing] { state.sealings }
    #endif

    // [PKT-7]
    /// The packet-nonce counter: the last 8 bytes of X1's final tag.
    package var counter: UInt64 { packet.rawBytes.load(UInt64.self, at: packet.count - 8) }
  }

  /// The values that the initiator has after X2.
  package struct Completion: Sendable {
    /// X3.
    package let packet: [UInt8]
    /// kid_B
    package let responderKeyID: KeyID
    /// The ratchet state that the responder used.
    package let used: RatchetState
    /// True if the responder used the empty state although the initiator offered another.
    package let isDowngrade: Bool
    /// The keys of the session.
    package let secrets: SessionSecrets
  }

  /// Writes X1.
  package static func hello(
    keyID: KeyID, to responder: any AgreementPublicKey, ratchet: RatchetPair, profile: Profile,
    provider: any CryptoProvider
  ) -> Computation<Hello> {
    let keyIDBytes = keyID.bytes
    var state = SymmetricState(protocolName: profile.handshakeName, provider: provider)
    // [XK-3]
    state.mixHash(keyIDBytes.rawBytes)
    let responderKey = responder.encoded
    state.mixHash(responderKey.bytes)

    // e
    // [XK-4]
    return .generate { ephemeral in
      state.mixEphemeral(ephemeral.publicKey)
      // es
      return .agree(ephemeral, responder) { shared in
        state.mixKey(agreed: shared)
        // e1
        let decapsulationKey = provider.generateEncapsulationKey(for: profile.kem)
        let encapsulationKey = decapsulationKey.encapsulationKey
        let sealedKey = state.encryptAndHash(encapsulationKey.rawBytes, nonce: Nonce(.hello, counter: 0))
        // payload: rf1 || (rf2 or zeros)
        // [DEC-62] [XK-4]
        let fingerprints = ratchet.state1.fingerprint.bytes + (ratchet.state2?.fingerprint ?? .empty).bytes
        let sealedFingerprints = state.encryptAndHash(fingerprints.rawBytes, nonce: Nonce(.hello, counter: 1))

        // [NOISE-12] [NOISE-15] [XK-5] [XK-6]
        return .done(
          Hello(
            packet: keyIDBytes + ephemeral.publicKey.array + sealedKey + sealedFingerprints,
            headerKeys: state.additionalKeys("ASKH"), state: state, ephemeral: ephemeral,
            decapsulationKey: decapsulationKey))
      }
    }
  }

  /// Reads X2 (1653 bytes) and writes X3.
  ///
  /// - Parameters:
  ///   - ratchet: the states that X1 offered.
  ///   - allowsDowngrade: true if the empty state is tried after them (flag π2 clear).
  package static func completion(
    of hello: Hello, response packet: [UInt8], ratchet: RatchetPair, allowsDowngrade: Bool,
    staticKey: any AgreementPrivateKey, identity: [UInt8], provider: any CryptoProvider
  ) throws(AuthenticationFailure) -> Computation<Completion> {
    var state = hello.state
    // e
    // [XK-15]
    return try .decode(received: packet.rawBytes.extracting(0..<PublicKey.size)) { ephemeral in
      state.mixEphemeral(ephemeral.encoded)
      // ee
      return .agree(hello.ephemeral, ephemeral) { shared throws(AuthenticationFailure) in
        state.mixKey(agreed: shared)
        // ekem1
        let sealedCiphertext = packet.rawBytes.extracting(PublicKey.size..<packet.count - 20)
        let ciphertext = try state.decryptAndHash(sealedCiphertext, nonce: Nonce(.response, counter: 0))
        try state.mixKey(decapsulating: ciphertext, with: hello.decapsulationKey)
        // psk, payload
        let sealedKeyID = packet.rawBytes.extracting(packet.count - 20..<packet.count)
        // [XK-16]
        let (used, responderKeyID) = try state.readResponderKeyID(
          sealedKeyID, trying: candidates(ratchet, allowsDowngrade: allowsDowngrade))

        // s
        let ownKey = staticKey.publicKey
        // [XK-22]
        let sealedStatic = state.encryptAndHash(ownKey.bytes, nonce: Nonce(.completion, counter: 1))
        // se
        return .agree(staticKey, ephemeral) { shared in
          state.mixKey(agreed: shared)
          // payload
          let sealedIdentity = state.encryptAndHash(identity.rawBytes, nonce: Nonce(.completion, counter: 0))
          // [XK-20]
          return .done(
            Completion(
              packet: sealedStatic + sealedIdentity, responderKeyID: responderKeyID, used: used,
              isDowngrade: used.isEmpty && !ratchet.contains(.empty), secrets: SessionSecrets(state, after: used)))
        }
      }
    }
  }

  // [XK-19]
  /// Returns the ratchet states to try, in order: rk1, rk2 if there is one, the empty state unless
  /// π2 forbids it.
  private static func candidates(_ ratchet: RatchetPair, allowsDowngrade: Bool) -> [RatchetState] {
    var candidates = [ratchet.state1]
    if let state2 = ratchet.state2 { candidates.append(state2) }
    // [MODE-2]
    if allowsDowngrade, !candidates.contains(.empty) { candidates.append(.empty) }
    return candidates
  }
}

extension SymmetricState {
  /// Tries each state's key as psk on the payload of X2, and continues with the first that fits.
  fileprivate mutating func readResponderKeyID(
    _ sealed: RawSpan, trying candidates: [RatchetState]
  ) throws(AuthenticationFailure) -> (RatchetState, KeyID) {
    for candidate in candidates {
      var attempt = self
      let key = candidate.key
      attempt.mixKeyAndHash(key.bytes)
      guard let bytes = try? attempt.decryptAndHash(sealed, nonce: Nonce(.response, counter: 0)) else { continue }
      // Zero is not a key id (section 4): an X3 with it would look like a stranger's packet.
      let keyID = KeyID(bytes.rawBytes)
      // [DEC-20]
      guard keyID != .none else { throw AuthenticationFailure() }
      self = attempt
      return (candidate, keyID)
    }
    // [XK-21]
    throw AuthenticationFailure()
  }
}
