// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import ZSSP
import ZSSPSwiftCrypto

struct Otp: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a one-time password for the first contact of two peers in persistent mode.",
    discussion: """
      Give both peers the password on a way that nobody else can read, and name the file with --otp-file on both sides. It is \
      good for one pair of peers, once.
      """)

  @Argument(help: "The file to write, which only you can read. Without it the password is printed.")
  var file: String?

  @Flag(help: "Replace the file if it exists.")
  var force = false

  func run() throws {
    let password = OneTimePassword.make()
    if let file {
      try PrivateFile.write(password + "\n", to: file, replaces: force)
    } else {
      Terminal.output(password)
    }
  }
}

/// One-time passwords as text (section 9).
enum OneTimePassword {
  /// 256 random bits in base64, 44 characters.
  static func make() -> String {
    var bytes = [UInt8](repeating: 0, count: 32)
    bytes.withMutableBytes { SwiftCryptoProvider().fillRandom(&$0) }
    return Data(bytes).base64EncodedString()
  }

  /// The ratchet state that the password in a file stands for. White space around it does not count.
  static func read(_ file: String) throws(CommandFailure) -> RatchetState {
    let text = try PrivateFile.read(file).trimmingCharacters(in: .whitespacesAndNewlines)
    guard text.utf8.count >= 32 else {
      throw .usage(
        "\(file): a one-time password of \(text.utf8.count) bytes is too short; 'zssp otp' makes a good one")
    }
    let bytes = Array(text.utf8)
    return RatchetState(oneTimePassword: bytes.rawBytes, provider: SwiftCryptoProvider())
  }
}
