// SPDX-License-Identifier: Apache-2.0

import Crypto
import ZSSP

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

// Conversions between the spans of the protocol and the types of swift-crypto. Secrets pass
// directly between types that wipe themselves.

extension Secret {
  /// Creates a copy of the bytes of a swift-crypto value: a key, a shared secret, or a code.
  init(copying source: some ContiguousBytes) {
    self = source.withUnsafeBytes { Secret(copying: RawSpan(_unsafeBytes: $0)) }
  }
}

extension SymmetricKey {
  /// Creates a key of `bytes`, in storage that swift-crypto wipes.
  init(copying bytes: RawSpan) {
    self = bytes.withUnsafeBytes { SymmetricKey(data: $0) }
  }
}

extension Data {
  /// The bytes as an array, for what is not secret.
  var array: [UInt8] { withUnsafeBytes { [UInt8]($0) } }
}
