// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The raw arguments of the process.
enum Arguments {
  /// Refuses arguments that are not UTF-8: as text they would change, and name other files.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func check() throws(CommandFailure) {
    for index in 0..<Int(CommandLine.argc) {
      guard let argument = CommandLine.unsafeArgv[index] else { return }
      let bytes = UnsafeBufferPointer(start: argument, count: strlen(argument)).map { UInt8(bitPattern: $0) }
      guard String(validating: bytes, as: UTF8.self) == nil else { continue }
      throw .usage("argument \(index), \(escaped(bytes)): is not UTF-8; rename the file")
    }
  }

  private static func escaped(_ bytes: [UInt8]) -> String {
    bytes.map { byte in
      (0x20...0x7E).contains(byte) ? String(UnicodeScalar(byte)) : String(format: "\\x%02X", Int(byte))
    }.joined()
  }
}
