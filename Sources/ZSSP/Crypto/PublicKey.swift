// SPDX-License-Identifier: Apache-2.0

/// A P-384 public key as a SEC1 compressed point, 49 bytes (section 1).
///
/// The value is an encoding that begins with 02 or 03. Only a ``CryptoProvider`` can tell if it is
/// on the curve.
public struct PublicKey: Sendable {
  private let storage: InlineArray<49, UInt8>

  /// The size in bytes.
  public static let size = 49

  /// Copies the encoding from `bytes`. Nil unless it has 49 bytes and begins with 02 or 03.
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount == Self.size, bytes[byte: 0] == 2 || bytes[byte: 0] == 3 else { return nil }
    var storage = InlineArray<49, UInt8>(repeating: 0)
    for index in 0..<Self.size { storage[index] = bytes[byte: index] }
    self.storage = storage
  }

  /// Copies the encoding from `bytes`. Nil unless it has 49 bytes and begins with 02 or 03.
  public init?(_ bytes: [UInt8]) { self.init(bytes.rawBytes) }

  /// The encoding.
  public var bytes: RawSpan {
    @_lifetime(borrow self) get { unsafe storage.span.bytes }
  }

  /// A copy of the encoding.
  public var array: [UInt8] { bytes.array }
}

extension PublicKey: Hashable, Comparable {
  /// Compares the encodings. Public keys are not secret, so the time may depend on the bytes.
  public static func == (left: PublicKey, right: PublicKey) -> Bool {
    left.storage.indices.allSatisfy { left.storage[$0] == right.storage[$0] }
  }

  /// Orders keys as byte strings.
  public static func < (left: PublicKey, right: PublicKey) -> Bool {
    for index in left.storage.indices where left.storage[index] != right.storage[index] {
      return left.storage[index] < right.storage[index]
    }
    return false
  }

  /// Feeds the encoding to `hasher`.
  public func hash(into hasher: inout Hasher) {
    for index in storage.indices { hasher.combine(storage[index]) }
  }
}
