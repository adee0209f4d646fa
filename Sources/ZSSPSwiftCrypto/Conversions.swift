// SPDX-License-Identifier: Apache-2.0

import Crypto
import ZSSP

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

// Between the spans of the protocol and the types of swift-crypto. Secrets go from one wiping type to the other with
// nothing in between that is not wiped.

extension Secret {
  /// A copy of the bytes of a swift-crypto value: a key, a shared secret, a code.
  init(copying source: some ContiguousBytes) {
    self = source.withUnsafeBytes { Secret(copying: RawSpan(_unsafeBytes: $0)) }
  }
}

extension SymmetricKey {
  /// A key of `bytes`, in storage that swift-crypto wipes.
  init(copying bytes: RawSpan) {
    self = bytes.withUnsafeBytes { SymmetricKey(data: $0) }
  }
}

extension Data {
  /// The bytes as an array, for what is not secret.
  var array: [UInt8] { withUnsafeBytes { [UInt8]($0) } }
}
