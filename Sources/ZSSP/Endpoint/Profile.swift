// SPDX-License-Identifier: Apache-2.0

// [PROF-2]
/// The variant of the protocol that both ends use (section 13). It is not negotiated: ends with
/// different profiles cannot authenticate each other.
public enum Profile: String, Sendable, Hashable, CaseIterable {
  // [PROF-1] [PROF-4]
  /// Kyber1024 of round 3, and Noise KK as specified. The default.
  case kyber1024
  // [PROF-5]
  /// Kyber1024 of round 3, and the re-key of upstream 0.4.0, which computes `es` where Noise KK has
  /// `se`. It does not authenticate the initiator of a re-key against a thief of the responder's
  /// keys. Use it for upstream peers only.
  case upstream
  // [PROF-6]
  /// ML-KEM-1024 (FIPS 203), and Noise KK as specified.
  case mlkem1024

  /// The key-encapsulation mechanism of the XK handshake.
  public var kem: KEM { self == .mlkem1024 ? .mlkem1024 : .kyber1024 }

  // [PROF-3]
  /// The name of the XK handshake, with which its transcript begins.
  package var handshakeName: StaticString {
    self == .mlkem1024
      ? "Noise_XKhfs+psk2_P384+MLKEM1024_AESGCM_SHA512" : "Noise_XKhfs+psk2_P384+Kyber1024_AESGCM_SHA512"
  }

  // [PROF-7]
  /// The name of the KK re-key, the same in all profiles.
  package static let rekeyName: StaticString = "Noise_KKpsk0_P384_AESGCM_SHA512"

  /// True if K2's `se` token is computed as `es`.
  package var repeatsStaticToken: Bool { self == .upstream }
}
