// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Finds a private key in a PEM text (RFC 7468), with lines of any length and any text around it.
enum PEM {
  /// Returns the DER bytes of the first block whose label ends with `PRIVATE KEY`. The caller must
  /// wipe them.
  static func privateKey(in text: String) throws(KeyTextError) -> Data {
    var other: String?
    var rest = text.split(whereSeparator: \.isNewline)[...]
    while let block = nextBlock(&rest) {
      guard block.label.hasSuffix("PRIVATE KEY") else {
        // `openssl ecparam -genkey` writes a block with the parameters first.
        other = other ?? block.label
        continue
      }
      guard block.label == "PRIVATE KEY" || block.label == "EC PRIVATE KEY" else {
        throw block.label == "ENCRYPTED PRIVATE KEY" ? .encrypted : .notP384
      }
      // SEC1 keys are encrypted with headers (RFC 1421), which have a colon; base64 has none.
      if block.lines.contains(where: { $0.contains("ENCRYPTED") && $0.contains(":") }) { throw .encrypted }
      guard let der = Data(base64Encoded: block.lines.map { $0.trimmed }.joined()), !der.isEmpty else {
        throw .malformedPEM
      }
      return der
    }
    if let other { throw .notPrivateKey(label: other) }
    throw .noPEMBlock
  }

  /// Returns true if the DER of a private key names the curve secp384r1, the object identifier
  /// 1.3.132.0.34.
  ///
  /// In some forms swift-crypto checks only the size of the key, and other curves have keys of 48
  /// bytes too.
  static func namesP384(_ der: Data) -> Bool {
    let identifier: [UInt8] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]
    return der.indices.contains { der[$0...].starts(with: identifier) }
  }

  /// Removes the lines up to the end of the next block from `lines`, and returns that block.
  private static func nextBlock(
    _ lines: inout ArraySlice<Substring>
  ) -> (label: String, lines: ArraySlice<Substring>)? {
    while let line = lines.popFirst() {
      guard let label = label(of: line, "BEGIN") else { continue }
      guard let end = lines.firstIndex(where: { self.label(of: $0, "END") == label }) else { return nil }
      defer { lines = lines[(end + 1)...] }
      return (label, lines[..<end])
    }
    return nil
  }

  private static func label(of line: Substring, _ boundary: String) -> String? {
    let line = line.trimmed
    let prefix = "-----\(boundary) "
    guard line.hasPrefix(prefix), line.hasSuffix("-----"), line.count > prefix.count + 5 else { return nil }
    return String(line.dropFirst(prefix.count).dropLast(5))
  }
}
