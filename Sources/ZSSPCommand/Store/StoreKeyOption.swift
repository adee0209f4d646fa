// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import ZSSP

/// The option for the key that encrypts a database's states.
struct StoreKeyOption: ParsableArguments {
  /// The environment variable that may contain the key.
  static let variable = "ZSSP_STORE_KEY"

  @Option(
    help: ArgumentHelp(
      "Read the key of an encrypted sqlite: store from this file; see 'zssp store key'. Default: the variable \(variable).",
      valueName: "file"))
  var storeKeyFile: String?

  /// Returns the key in the file, otherwise the one in the environment; nil without both.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  func key() throws(CommandFailure) -> Secret? {
    if let storeKeyFile { return try Self.read(file: storeKeyFile) }
    guard let text = ProcessInfo.processInfo.environment[Self.variable] else { return nil }
    return try Self.read(text, from: Self.variable)
  }

  /// Reads the key in a file.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func read(file: String) throws(CommandFailure) -> Secret {
    try read(try SecretFile.read(file, kind: .key), from: "--store-key-file \(file)")
  }

  /// Parses 32 bytes in base64, with white space around them.
  private static func read(_ text: String, from place: String) throws(CommandFailure) -> Secret {
    guard let bytes = Data(base64Encoded: text.trimmingCharacters(in: .whitespacesAndNewlines)), bytes.count == 32
    else {
      throw .usage("\(place): not a key of 32 bytes in base64; 'zssp store key' makes one")
    }
    return Secret(copying: Array(bytes).rawBytes)
  }
}
