// SPDX-License-Identifier: Apache-2.0

// [PKT-6]
/// Sizes of packets, in bytes, without fragment headers (section 4).
package enum PacketSize {
  /// The tag of AES-256-GCM.
  package static let tag = 16
  /// A ratchet fingerprint, and any key that is cut from a KBKDF output.
  package static let key = 32
  /// X1 without the challenge response: kid_A, X, sealed E, sealed fingerprints.
  package static let helloWithoutChallenge = 4 + 49 + (1568 + 16) + (64 + 16)
  /// The challenge response at the end of X1.
  package static let challenge = 32
  /// X1.
  package static let hello = helloWithoutChallenge + challenge
  /// X2: Y, sealed KEM ciphertext, sealed kid_B.
  package static let response = 49 + (1568 + 16) + (4 + 16)
  /// X3 with an empty identity: sealed S_A and the tag of the identity.
  package static let completionWithoutIdentity = (49 + 16) + 16
  /// The longest identity.
  package static let largestIdentity = 4096
  /// The longest X3.
  package static let largestCompletion = completionWithoutIdentity + largestIdentity
  /// K1 and K2: an ephemeral key and a sealed key id, sealed again.
  package static let rekey = 49 + (4 + 16) + 16
  /// The payload of a challenge packet: kid_A and the challenge.
  package static let challengePacket = 4 + 32
}
