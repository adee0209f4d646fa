// SPDX-License-Identifier: Apache-2.0
import ZSSP

// Section 7: Noise KKpsk0. "Initiator" is the sender of K1, whatever its role in XK. These are the
// inner packets, 69 bytes each. They are sent sealed under the kek of the current key.

/// The values that the initiator keeps between K1 and K2.
struct WrittenK1 {
  let packet: [UInt8]
  /// kid_I, the initiator's id for the new key.
  let kidI: KeyID
  fileprivate let used: RatchetState
  fileprivate let noise: Noise
  fileprivate let x: any AgreementPrivateKey
}

/// The values that the responder has after K1 and K2, and the initiator after K2.
struct Rekeyed {
  /// The inner K2; empty for the initiator.
  let packet: [UInt8]
  let kidI, kidR: KeyID
  let outcome: Outcome
}

// [KK-3] [NOISE-14]
/// The two messages of the re-key.
struct KK {
  let own: any AgreementPrivateKey
  let peer: any AgreementPublicKey
  let profile: ReferencePeer.Profile
  let crypto: Primitives

  /// "init KK; MixHash(S_I); MixHash(S_R); psk: MixKeyAndHash(rk1)"
  private func start(initiator: PublicKey, responder: PublicKey, state1: RatchetState) -> Noise {
    // [PROF-7]
    var noise = Noise("Noise_KKpsk0_P384_AESGCM_SHA512", crypto: crypto)
    // [KK-4]
    noise.mixHash(initiator.array)
    noise.mixHash(responder.array)
    // [KK-5]
    noise.mixKeyAndHash(state1.keyBytes)
    return noise
  }

  // [KK-6]
  /// Writes K1, as initiator.
  func writeK1(kidI: KeyID, _ state1: RatchetState) throws(NotAuthentic) -> WrittenK1 {
    var noise = start(initiator: own.publicKey, responder: peer.encoded, state1: state1)
    // e
    let x = crypto.provider.generateAgreementKey()
    noise.e(x.publicKey)
    // es
    try noise.dh(x, peer)
    // ss
    try noise.dh(own, peer)
    // payload
    let payload = noise.encryptAndHash(nonce(5, 0), bigEndian(kidI))
    return WrittenK1(packet: x.publicKey.array + payload, kidI: kidI, used: state1, noise: noise, x: x)
  }

  // [KK-6] [KK-7]
  /// Reads K1 and writes K2, as responder.
  func answerK1(_ packet: [UInt8], state1: RatchetState, newKeyID: () -> KeyID) throws(NotAuthentic) -> Rekeyed {
    var noise = start(initiator: peer.encoded, responder: own.publicKey, state1: state1)
    // e
    let x = try crypto.publicKey(Array(packet[0..<49]))
    noise.e(x.encoded)
    // es
    try noise.dh(own, x)
    // ss
    try noise.dh(own, peer)
    // payload
    let kidI = try keyID(try noise.decryptAndHash(nonce(5, 0), Array(packet[49..<69])))

    // K2. e
    let y = crypto.provider.generateAgreementKey()
    noise.e(y.publicKey)
    // ee
    try noise.dh(y, x)
    // se: DH(y, S_I); in the upstream variant DH(s_R, X), which is es a second time
    // [PROF-1] [PROF-5]
    if profile == .upstream { try noise.dh(own, x) } else { try noise.dh(y, peer) }
    // payload
    let kidR = newKeyID()
    let payload = noise.encryptAndHash(nonce(6, 0), bigEndian(kidR))
    return Rekeyed(
      packet: y.publicKey.array + payload, kidI: kidI, kidR: kidR, outcome: Outcome(noise, used: state1))
  }

  // [KK-7]
  /// Reads K2, as initiator.
  func readK2(_ packet: [UInt8], answering k1: WrittenK1) throws(NotAuthentic) -> Rekeyed {
    var noise = k1.noise
    // e
    let y = try crypto.publicKey(Array(packet[0..<49]))
    noise.e(y.encoded)
    // ee
    try noise.dh(k1.x, y)
    // se: DH(s_I, Y); in the upstream variant DH(x, S_R)
    // [PROF-1] [PROF-5]
    if profile == .upstream { try noise.dh(k1.x, peer) } else { try noise.dh(own, y) }
    // payload
    let kidR = try keyID(try noise.decryptAndHash(nonce(6, 0), Array(packet[49..<69])))
    return Rekeyed(packet: [], kidI: k1.kidI, kidR: kidR, outcome: Outcome(noise, used: k1.used))
  }
}
