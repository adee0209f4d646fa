// SPDX-License-Identifier: Apache-2.0

extension RatchetState {
  /// Creates the state that is derived from a one-time password (section 9). Both sides store it
  /// for the peer before the first contact.
  ///
  /// - Parameters:
  ///   - password: at least 256 bits of entropy, used for one pair of peers and once.
  ///   - provider: derives the key and the fingerprint.
  public init(oneTimePassword password: RawSpan, provider: any CryptoProvider) {
    // [RAT-10]
    let outputs = KBKDF.derivePair(
      key: password, label: "ZSSP_OTP_TO_RATCHET", context: [UInt8]().rawBytes, provider: provider)
    self.init(key: outputs.first, fingerprint: Fingerprint(outputs.second.bytes), chainLength: 1)
  }
}
