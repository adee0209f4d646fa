// SPDX-License-Identifier: Apache-2.0

/// The key derivation of section 2: SP 800-108r1 in counter mode with HMAC-SHA-512.
package enum KBKDF {
  /// Returns `count` outputs of 64 bytes: `output_i = HMAC(key, i || label || 00 || context ||
  /// uint16(512·count))`.
  package static func derive(
    _ count: Int, key: RawSpan, label: StaticString, context: RawSpan, provider: any CryptoProvider
  ) -> [Secret] {
    let labelSize = label.utf8CodeUnitCount
    let authenticator = provider.authenticator(key: key)
    return (1...count).map { index in
      // [KDF-1]
      let input = Secret(count: 1 + labelSize + 1 + context.byteCount + 2) { bytes in
        bytes.store(UInt8(index), at: 0)
        label.withUTF8Buffer { label in
          for offset in 0..<labelSize { bytes.store(unsafe label[offset], at: 1 + offset) }
        }
        bytes.write(context, at: labelSize + 2)
        bytes.store(UInt16(512 * count), at: labelSize + 2 + context.byteCount)
      }
      return authenticator.authenticationCode(for: input.bytes)
    }
  }

  /// Returns `count` outputs of 64 bytes for any fixed input, as NIST's known answers need it:
  /// `output_i = HMAC(key, i || fixedInput)` (SP 800-108r1 section 4.1). `count` is at most 255.
  ///
  /// ``derive(_:key:label:context:provider:)`` assembles its input in one secret; a test compares
  /// the two.
  package static func counterMode(
    _ count: Int, key: RawSpan, fixedInput: RawSpan, provider: any CryptoProvider
  ) -> [Secret] {
    let authenticator = provider.authenticator(key: key)
    return (1...count).map { index in
      let input = Secret(count: 1 + fixedInput.byteCount) { bytes in
        bytes.store(UInt8(index), at: 0)
        bytes.write(fixedInput, at: 1)
      }
      return authenticator.authenticationCode(for: input.bytes)
    }
  }

  /// Returns two outputs, each cut to 32 bytes.
  package static func derivePair(
    key: RawSpan, label: StaticString, context: RawSpan, provider: any CryptoProvider
  ) -> (first: Secret, second: Secret) {
    let outputs = derive(2, key: key, label: label, context: context, provider: provider)
    // [KDF-2]
    return (outputs[0].prefix(PacketSize.key), outputs[1].prefix(PacketSize.key))
  }
}
