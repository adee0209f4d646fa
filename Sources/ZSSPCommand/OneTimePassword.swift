// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ZSSP
import ZSSPSwiftCrypto

struct Otp: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a one-time password for the first contact of two peers in persistent mode.",
    discussion: """
      Take the password to both peers over a secure channel, and name its file with --otp-file on both sides. It is \
      valid for one pair of peers, once.
      """)

  @Argument(help: "Write to this file, with mode 0600. Default: print the password.")
  var file: String?

  @Flag(help: "Replace the file if it exists. Default: refuse.")
  var force = false

  func run() throws {
    let password = OneTimePassword.generate().text
    if let file {
      try SecretFile.write(password + "\n", to: file, replaces: force)
    } else {
      Terminal.output(password)
    }
  }
}

extension OneTimePassword {
  /// Reads a password file, and returns the ratchet state that is derived from it.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func read(_ file: String) throws(CommandFailure) -> RatchetState {
    try contents(of: file).state(provider: .swiftCrypto)
  }

  /// Reads a password file. White space around the password is ignored.
  ///
  /// - Throws: ``CommandFailure/usage(_:)``.
  static func contents(of file: String) throws(CommandFailure) -> OneTimePassword {
    let text = try SecretFile.read(file, kind: .key)
    do { return try OneTimePassword(text: text) } catch { throw .usage("\(file): \(error)") }
  }
}
