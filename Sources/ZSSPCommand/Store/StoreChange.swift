// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ZSSP
import ZSSPSwiftCrypto

struct StoreImportOTP: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import-otp", abstract: "Store the state of a one-time password for the first contact with a peer.",
    discussion: "Until that contact the initiator must require the password: --pi2 on, or --mode persistent.")

  @OptionGroup var arguments: StoreArguments

  @Option(help: ArgumentHelp("The peer's public key, in base64 or 98 hexadecimal digits.", valueName: "key"))
  var peer: String

  @Option(help: ArgumentHelp("The file with the password, as 'zssp otp' makes it.", valueName: "file"))
  var otpFile: String

  @Flag(help: "Replace the ratchet that there is for the peer.")
  var force = false

  func run() async throws {
    let key = try KeyReader.publicKey(peer, option: "--peer")
    let state = try OneTimePassword.read(otpFile)
    try await arguments.use(creates: true) { store in
      let held = try await store.everything()[key]?.pair ?? .empty
      guard force || held == .empty else {
        throw CommandFailure.usage("\(arguments.store): there is a ratchet for this peer; --force replaces it")
      }
      // In a shared store another process may store a ratchet at the same time.
      try await store.put([key: RatchetRow(RatchetPair(state))], replaces: force)
    }
  }
}

struct StoreForget: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "forget", abstract: "Erase what a store has for peers.",
    discussion: "A peer in persistent mode can then come back with a new one-time password only, which both sides need."
  )

  @OptionGroup var arguments: StoreArguments

  @Argument(help: "The peers' public keys, in base64 or 98 hexadecimal digits.")
  var peers: [String]

  func run() async throws {
    let keys = try peers.map { try KeyReader.publicKey($0, option: "peer") }
    try await arguments.use(creates: false) { store in
      let held = try await store.everything()
      for (key, text) in zip(keys, peers) where held[key] == nil {
        throw CommandFailure.usage("\(arguments.store): no ratchet for the peer \(text); nothing was changed")
      }
      try await store.put(Dictionary(keys.map { ($0, RatchetRow()) }) { first, _ in first }, replaces: true)
    }
  }
}

struct StoreExport: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write all ratchets of a store to a file, not encrypted, that only you can read.",
    discussion:
      "The file is a store itself, file:PATH. A ratchet that is used from two stores goes out of step: export to move, not to share."
  )

  @OptionGroup var arguments: StoreArguments

  @Argument(help: "The file to write; - is standard output, and needs --reveal.")
  var file: String

  @Flag(help: "Replace the file if it exists.")
  var force = false

  @Flag(help: "Print keys on standard output.")
  var reveal = false

  func validate() throws {
    if file == "-", !reveal { throw ValidationError("-: prints keys; say --reveal if that is meant") }
  }

  func run() async throws {
    let text = try await arguments.use(creates: false) { store in try RatchetFile.text(try await store.everything()) }
    if file == "-" {
      Terminal.output(String(text.dropLast()))
    } else {
      try SecretFile.write(text, to: file, replaces: force)
    }
  }
}

struct StoreImport: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Add the ratchets of an exported file to a store: all of them or none.",
    discussion: "A store over a network takes many of them in groups, and says how many it has if it fails on the way.")

  @OptionGroup var arguments: StoreArguments

  @Argument(help: "The file that 'zssp store export' wrote.")
  var file: String

  @Flag(help: "Replace ratchets of the same peers.")
  var force = false

  func run() async throws {
    let text = try SecretFile.read(file, kind: .ratchets)
    let rows: [PublicKey: RatchetRow]
    do { rows = try RatchetFile.rows(in: text) } catch { throw CommandFailure.usage("\(file): \(error)") }
    try await arguments.use(creates: true) { store in
      let held = try await store.everything()
      let others = rows.filter { peer, row in held[peer].map { $0.pair != row.pair } ?? false }
      if !force, let (peer, _) = others.first {
        throw CommandFailure.usage(
          "\(arguments.store): has other ratchets for \(others.count) of the peers in \(file), among them \(peer.text); --force replaces them, nothing was changed"
        )
      }
      try await store.put(rows, replaces: force)
    }
    Terminal.note("imported the ratchets of \(rows.count) peers")
  }
}
