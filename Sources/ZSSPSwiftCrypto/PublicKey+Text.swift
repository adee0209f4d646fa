// SPDX-License-Identifier: Apache-2.0

import Crypto
public import ZSSP

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension PublicKey {
  /// The key as text: base64 of the 49 compressed bytes, 68 characters that end with `==`.
  public var text: String { Data(array).base64EncodedString() }

  /// Reads a key from base64 (68 characters) or hexadecimal digits (98, of either case) and checks
  /// that it is a point of P-384. White space around the text is ignored.
  ///
  /// - Throws: ``KeyTextError``, which says what is wrong with the text.
  public init(text: String) throws(KeyTextError) {
    let text = text.trimmed
    let bytes: [UInt8]
    switch text.utf8.count {
    case 68: bytes = try Self.base64Bytes(text)
    case 98: bytes = try Self.hexadecimalBytes(text)
    default: throw .wrongLength(text.count)
    }
    guard let key = PublicKey(bytes) else { throw .notCompressedPoint(firstByte: bytes.first ?? 0) }
    guard (try? P384.KeyAgreement.PublicKey(compressedRepresentation: bytes)) != nil else { throw .notOnCurve }
    self = key
  }

  private static func base64Bytes(_ text: Substring) throws(KeyTextError) -> [UInt8] {
    // The last four bits of the last digit carry no data and must be zero, so that one key has one
    // text.
    guard let data = Data(base64Encoded: String(text)), data.count == size, data.base64EncodedString() == text else {
      throw .notBase64
    }
    return data.array
  }

  private static func hexadecimalBytes(_ text: Substring) throws(KeyTextError) -> [UInt8] {
    var bytes: [UInt8] = []
    var high: Int?
    for character in text {
      guard character.isASCII, let digit = character.hexDigitValue else { throw .notHexadecimal }
      if let first = high {
        bytes.append(UInt8(first << 4 | digit))
        high = nil
      } else {
        high = digit
      }
    }
    return bytes
  }
}

extension StringProtocol {
  /// The text without white space and line ends around it.
  var trimmed: SubSequence {
    let end = lastIndex { !$0.isWhitespace }.map { index(after: $0) } ?? startIndex
    return self[..<end].drop { $0.isWhitespace }
  }
}
