// SPDX-License-Identifier: Apache-2.0

/// Names a key at its owner: four bytes that the peer writes in the header of what it sends (section 4).
///
/// Zero is no key: the packets of strangers carry it.
package struct KeyID: Hashable, Sendable {
  package let value: UInt32

  package static let none = KeyID(value: 0)
  package static let size = 4

  package init(value: UInt32) { self.value = value }

  /// The key id in the first four bytes of `bytes`.
  package init(_ bytes: RawSpan) { value = bytes.load(UInt32.self, at: 0) }

  package var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
}
