// SPDX-License-Identifier: Apache-2.0

/// What a completed handshake, XK or KK, leaves to both sides (section 6).
package struct SessionSecrets: Sendable {
  /// The ratchet state for the next handshake.
  package let ratchet: RatchetState
  /// Key-exchange keys (kek), for control packets.
  package let exchangeKeys: DirectionalKeys
  /// Transport keys (nk), for data.
  package let transportKeys: DirectionalKeys

  /// Derives everything from the final symmetric state. The chain grows by one over the state that was used.
  init(_ state: SymmetricState, after used: RatchetState) {
    // [NOISE-12] [XK-23]
    let (key, fingerprint) = state.ratchet()
    // [XK-24]
    ratchet = RatchetState(key: key, fingerprint: fingerprint, chainLength: used.chainLength &+ 1)
    exchangeKeys = state.additionalKeys("ASKK")
    transportKeys = state.split()
  }
}
