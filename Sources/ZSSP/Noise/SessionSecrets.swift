// SPDX-License-Identifier: Apache-2.0

/// The secrets that a completed handshake, XK or KK, gives to both sides (section 6).
package struct SessionSecrets: Sendable {
  /// The ratchet state for the next handshake.
  package let ratchet: RatchetState
  /// Key-exchange keys (kek), for control packets.
  package let exchangeKeys: DirectionalKeys
  /// Transport keys (nk), for data.
  package let transportKeys: DirectionalKeys
  #if KeyLog
    /// The keys and hashes of the messages of the handshake.
    let sealings: [KeyLog.Sealing]
  #endif

  /// Derives all secrets from the final symmetric state. The chain is one longer than that of the
  /// state that was used.
  init(_ state: SymmetricState, after used: RatchetState) {
    // [NOISE-12] [XK-23]
    let (key, fingerprint) = state.ratchet()
    // [XK-24]
    ratchet = RatchetState(key: key, fingerprint: fingerprint, chainLength: used.chainLength &+ 1)
    exchangeKeys = state.additionalKeys("ASKK")
    transportKeys = state.split()
    #if KeyLog
      sealings = state.sealings
    #endif
  }
}
