// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ZSSP
import ZSSPSwiftCrypto

struct Keygen: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a static key: a P-384 private key (PEM), in a file of mode 0600. Prints the public key.")

  @Argument(help: "Write to this file.")
  var file: String

  @Flag(help: "Replace the file if it exists. Default: refuse.")
  var force = false

  func run() throws {
    let key = StaticKey()
    try SecretFile.write(key.pem, to: file, replaces: force)
    Terminal.output(key.publicKey.text)
  }
}

struct Pubkey: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the public key of a private key file: base64, one line.")

  @Argument(help: "Read the private key from this PEM file.")
  var file: String

  @Flag(help: "Print 98 hexadecimal digits instead of base64. Default: off.")
  var hex = false

  func run() throws {
    let key = try KeyReader.privateKey(file: file)
    Terminal.output(hex ? key.publicKey.hexadecimal : key.publicKey.text)
  }
}

/// Reads keys from arguments and files. Errors name the option or the file.
enum KeyReader {
  /// Reads a private key from a PEM file.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func privateKey(file: String) throws(CommandFailure) -> StaticKey {
    let text = try SecretFile.read(file, kind: .key)
    do { return try StaticKey(pem: text) } catch { throw .usage("\(file): \(error)") }
  }

  /// Parses a public key in base64 or hexadecimal digits, given with `option`.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func publicKey(_ text: String, option: String) throws(CommandFailure) -> PublicKey {
    do { return try PublicKey(text: text) } catch { throw .usage("\(option) \(text): \(error)") }
  }
}
