// SPDX-License-Identifier: Apache-2.0
package import ZSSP

/// A provider that protects packets only in part, to measure what their path costs without the
/// rest. Both sides must use it.
///
/// It is for benchmarks: whoever uses it sends plaintext. No command of the tool and no
/// configuration file selects it.
package struct UnprotectedPackets: DerivedProvider {
  /// What is left of the cryptography of a packet.
  package enum Rest: String, CaseIterable, Sendable {
    /// Payloads are copied.
    case null
    /// Payloads are encrypted and authenticated, and headers stay as they are.
    case cipher
  }

  package let base: any CryptoProvider
  private let rest: Rest

  /// Creates a provider whose handshakes come from `base`.
  package init(base: any CryptoProvider, rest: Rest) {
    self.base = base
    self.rest = rest
  }

  package var name: String { "\(base.name), unprotected (\(rest.rawValue))" }

  package func packetKey(_ key: Secret) -> any PacketKey {
    rest == .null ? CopyingPacketKey(key) : base.packetKey(key)
  }

  package func headerKey(_ key: Secret) -> any HeaderKey { IdleHeaderKey() }
}

/// A packet key that copies.
private final class CopyingPacketKey: PacketKey {
  private static let tagSize = 16
  /// The beginning of the key serves as the tag: a handshake finds out which of several keys fits by
  /// the tag.
  private let tag: InlineArray<16, UInt8>

  init(_ key: Secret) {
    tag = InlineArray { key.bytes[byte: $0] }
  }

  func seal(_ plaintext: RawSpan, nonce: Nonce, authenticating: RawSpan, into output: inout MutableRawSpan) {
    output.write(plaintext, at: 0)
    output.write(tag.span.bytes, at: plaintext.byteCount)
  }

  func open(_ message: inout MutableRawSpan, nonce: Nonce, authenticating: RawSpan) -> Bool {
    constantTimeEqual(message.bytes.extracting(last: Self.tagSize), tag.span.bytes)
  }
}

/// A header key that leaves blocks as they are.
private final class IdleHeaderKey: HeaderKey {
  func encrypt(_ block: inout MutableRawSpan) {}
  func decrypt(_ block: inout MutableRawSpan) {}
  func encrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int) {}
  func decrypt(_ bytes: inout MutableRawSpan, stride: Int, count: Int) {}
}
