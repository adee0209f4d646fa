// SPDX-License-Identifier: Apache-2.0

@testable import ZSSP

// Macros of the testing library cannot pass spans, so what takes them gets a form that takes an
// array.

extension FragmentHeader {
  /// The header that `datagram` begins with.
  init?(datagram: [UInt8]) { self.init(datagram.rawBytes) }

  /// The sixteen bytes.
  var bytes: [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: Self.size)
    bytes.withMutableBytes { write(to: &$0) }
    return bytes
  }
}

extension KeyID {
  init(bytes: [UInt8]) { self.init(bytes.rawBytes) }
}

extension Fingerprint {
  init(bytes: [UInt8]) { self.init(bytes.rawBytes) }
}

extension Nonce {
  /// The twelve bytes in hexadecimal digits.
  var hex: String {
    let bytes = bytes
    return bytes.span.bytes.hexadecimal
  }
}

extension ArraySlice<UInt8> {
  /// The bytes in hexadecimal digits.
  var hex: String { Array(self).hex }
}

extension Digest {
  /// The bytes in hexadecimal digits.
  var hex: String { bytes.hexadecimal }
}
