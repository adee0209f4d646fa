// SPDX-License-Identifier: Apache-2.0

import Crypto
import ZSSP

/// HMAC-SHA-512 under one key (FIPS 198-1).
///
/// The stored hasher has absorbed the padded key. Each message uses a copy of it, which saves two
/// of the four SHA-512 blocks that a short message costs otherwise.
struct HMACAuthenticator: MessageAuthenticator {
  private let keyed: HMAC<SHA512>

  init(key: RawSpan) {
    keyed = HMAC(key: SymmetricKey(copying: key))
  }

  func authenticationCode(for message: RawSpan) -> Secret {
    var authenticator = keyed
    message.withUnsafeBytes { authenticator.update(data: $0) }
    let code = Secret(copying: authenticator.finalize())
    // swift-crypto frees a hash state that still contains the end of the message, which for KBKDF
    // is a chaining key. Absorbing another block overwrites it, whatever the message's size.
    Self.block.withUnsafeBytes { authenticator.update(data: $0) }
    return code
  }

  /// A block of SHA-512.
  private static let block = [UInt8](repeating: 0, count: 128)
}
