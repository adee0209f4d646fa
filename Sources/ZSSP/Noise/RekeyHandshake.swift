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
  ) -> Computation<Initiation> {
    var state = begin(initiator: keys.own.publicKey, responder: keys.peer.encoded, ratchet: ratchet, provider: provider)
    // e
    // [KK-6]
    return .generate { ephemeral in
      state.mixEphemeral(ephemeral.publicKey)
      // es
      return .agree(ephemeral, keys.peer) { shared in
        state.mixKey(agreed: shared)
        // ss
        return .agree(keys.own, keys.peer) { shared in
          state.mixKey(agreed: shared)
          // payload
          let keyIDBytes = keyID.bytes
          let sealed = state.encryptAndHash(keyIDBytes.rawBytes, nonce: Nonce(.rekeyInit, counter: 0))
          return .done(
            Initiation(
              packet: ephemeral.publicKey.array + sealed, state: state, ephemeral: ephemeral, used: ratchet))
        }
      }
    }
  }

  /// Reads the inner K1, and computes K2.
  package static func response(
    to packet: [UInt8], keys: StaticKeys, ratchet: RatchetState, profile: Profile, provider: any CryptoProvider
  ) throws(AuthenticationFailure) -> Computation<Response> {
    var state = begin(initiator: keys.peer.encoded, responder: keys.own.publicKey, ratchet: ratchet, provider: provider)
    // e
    // [KK-6]
    return try .decode(received: packet.rawBytes.extracting(0..<PublicKey.size)) { received in
      state.mixEphemeral(received.encoded)
      // es
      return .agree(keys.own, received) { shared in
        state.mixKey(agreed: shared)
        // ss
        return .agree(keys.own, keys.peer) { shared throws(AuthenticationFailure) in
          state.mixKey(agreed: shared)
          // payload
          let keyID = try readKeyID(packet, with: &state, nonce: Nonce(.rekeyInit, counter: 0))
          return writeResponse(
            Response(initiatorKeyID: keyID, state: state, ephemeral: received.encoded, used: ratchet),
            to: received, keys: keys, profile: profile)
        }
      }
    }
  }

  /// Completes a response that has everything but the responder's part.
  private static func writeResponse(
    _ read: Response, to received: any AgreementPublicKey, keys: StaticKeys, profile: Profile
  ) -> Computation<Response> {
    var state = read.state
    // e
    // [KK-7]
    return .generate { ephemeral in
      state.mixEphemeral(ephemeral.publicKey)
      // ee
      return .agree(ephemeral, received) { shared in
        state.mixKey(agreed: shared)
        // se
        // [PROF-1] [PROF-5]
        let repeats = profile.repeatsStaticToken
        return .agree(repeats ? keys.own : ephemeral, repeats ? received : keys.peer) { shared in
          state.mixKey(agreed: shared)
          return .done(
            Response(
              initiatorKeyID: read.initiatorKeyID, state: state, ephemeral: ephemeral.publicKey, used: read.used))
        }
      }
    }
  }

  /// Reads the inner K2.
  package static func completion(
    of initiation: Initiation, _ packet: [UInt8], keys: StaticKeys, profile: Profile
  ) throws(AuthenticationFailure) -> Computation<(responderKeyID: KeyID, secrets: SessionSecrets)> {
    var state = initiation.state
    // e
    // [KK-7]
    return try .decode(received: packet.rawBytes.extracting(0..<PublicKey.size)) { received in
      state.mixEphemeral(received.encoded)
      // ee
      return .agree(initiation.ephemeral, received) { shared in
        state.mixKey(agreed: shared)
        // se
        // [PROF-1] [PROF-5]
        let repeats = profile.repeatsStaticToken
        let own = repeats ? initiation.ephemeral : keys.own
        let peer = repeats ? keys.peer : received
        return .agree(own, peer) { shared throws(AuthenticationFailure) in
          state.mixKey(agreed: shared)
          // payload
          let keyID = try readKeyID(packet, with: &state, nonce: Nonce(.rekeyComplete, counter: 0))
          return .done((keyID, SessionSecrets(state, after: initiation.used)))
        }
      }
    }
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
    _ packet: [UInt8], with state: inout SymmetricState, nonce: Nonce
  ) throws(AuthenticationFailure) -> KeyID {
    let bytes = try state.decryptAndHash(packet.rawBytes.extracting(PublicKey.size..<innerSize), nonce: nonce)
    let keyID = KeyID(bytes.rawBytes)
    // [DEC-20]
    guard keyID != .none else { throw AuthenticationFailure() }
    return keyID
  }
}
