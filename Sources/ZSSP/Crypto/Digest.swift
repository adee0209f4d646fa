// SPDX-License-Identifier: Apache-2.0

/// The 64 bytes of a SHA-512 value. A handshake hash binds a transcript; it is not secret.
public struct Digest: Sendable {
  private var storage = InlineArray<64, UInt8>(repeating: 0)

  /// The size in bytes.
  public static let size = 64

  /// Creates a digest of the 64 bytes that `fill` writes.
  public init(filledBy fill: (inout MutableRawSpan) -> Void) {
    var elements = storage.mutableSpan
    var bytes = unsafe elements.mutableBytes
    fill(&bytes)
  }

  /// The bytes.
  public var bytes: RawSpan {
    @_lifetime(borrow self) get { unsafe storage.span.bytes }
  }
}
