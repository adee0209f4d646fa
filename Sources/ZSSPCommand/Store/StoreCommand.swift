// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ZSSP
import ZSSPSwiftCrypto

struct StoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store",
    abstract: "Inspect and change a ratchet store that no other process has open.",
    discussion: """
      A store is sqlite:PATH, file:PATH, or a path alone, whose kind is detected. Keys are printed only with \
      --reveal.
      """,
    subcommands: [
      StoreList.self, StoreShow.self, StoreImportOTP.self, StoreForget.self, StoreCheck.self, StoreExport.self,
      StoreImport.self, StoreKey.self,
    ])
}

/// The arguments that the store commands share.
struct StoreArguments: ParsableArguments {
  @Argument(help: "Open this store: sqlite:PATH, file:PATH, or PATH.")
  var store: String

  @OptionGroup var keyOption: StoreKeyOption

  /// Opens the store for `body`, and creates it first if `creates` is true.
  ///
  /// - Throws: ``CommandFailure``, or the error of `body`.
  func use<Result>(creates: Bool, _ body: (any KeptRatchets) async throws -> Result) async throws -> Result {
    let location = try StoreLocation(store)
    guard location != .memory else {
      throw CommandFailure.usage("\(store): is lost when this command ends; name a file")
    }
    let ratchets = try await location.open(key: try keyOption.key(), creates: creates)
    return try await ratchets.whileOpen { try await body(ratchets) }
  }
}

struct StoreCheck: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check a store for defects. Exits with 1 if it has any.")

  @OptionGroup var arguments: StoreArguments

  @Flag(help: "Print one JSON object. Default: off.")
  var json = false

  private struct Result: Encodable {
    var problems: [String]
  }

  func run() async throws {
    let problems = try await arguments.use(creates: false) { store in try await store.problems() }
    if json {
      try Terminal.output(json: Result(problems: problems))
    } else {
      for problem in problems { Terminal.output(problem) }
      if problems.isEmpty { Terminal.output("no problems") }
    }
    guard problems.isEmpty else { throw CommandFailure.failed("\(arguments.store): \(problems.count) problems") }
  }
}

struct StoreKey: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Make a key for an encrypted store, in a file of mode 0600.",
    discussion: "Without the key the store is lost. Keep it apart from the store's backups.")

  @Argument(help: "Write to this file.")
  var file: String

  @Flag(help: "Replace the file if it exists. Default: refuse.")
  var force = false

  func run() throws { try SecretFile.write(OneTimePassword.generate().text + "\n", to: file, replaces: force) }
}
