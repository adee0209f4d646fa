// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ZSSP
import ZSSPSwiftCrypto

struct StoreImportOTP: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import-otp", abstract: "Store the state of a one-time password for the first contact with a peer.",
    discussion: "Until that contact the initiator must require the password: --pi2 on, or --mode persistent.")

  @OptionGroup var arguments: StoreArguments

  @Option(help: ArgumentHelp("Store it for this public key, in base64 or 98 hexadecimal digits.", valueName: "key"))
  var peer: String

  @Option(help: ArgumentHelp("Read the password from this file; see 'zssp otp'.", valueName: "file"))
  var otpFile: String

  @Flag(help: "Replace the stored ratchet of the peer. Default: refuse.")
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
    commandName: "forget", abstract: "Erase the ratchets of peers in a store.",
    discussion: "In persistent mode such a peer then needs a new one-time password, as does this side."
  )

  @OptionGroup var arguments: StoreArguments

  @Argument(help: "Erase the ratchets of these public keys, in base64 or 98 hexadecimal digits.")
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
    commandName: "export", abstract: "Write all ratchets of a store to a file of mode 0600, not encrypted.",
    discussion:
      "The file is a store, file:PATH. Use a ratchet in one store only: two copies diverge, and the peer refuses one."
  )

  @OptionGroup var arguments: StoreArguments

  @Argument(help: "Write to this file; - is standard output, and needs --reveal.")
  var file: String

  @Flag(help: "Replace the file if it exists. Default: refuse.")
  var force = false

  @Flag(help: "Allow keys on standard output. Default: refuse.")
  var reveal = false

  func validate() throws {
    if file == "-", !reveal { throw ValidationError("-: would print keys; add --reveal to allow it") }
  }

  func run() async throws {
    let text = try await arguments.use(creates: false) { store in try RatchetFile.text(try await store.everything()) }
    if file == "-" {
      Terminal.data(String(text.dropLast()))
    } else {
      try SecretFile.write(text, to: file, replaces: force)
    }
  }
}

struct StoreImport: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Add the ratchets of an exported file to a store: all of them or none.",
    discussion: "A store in etcd takes many of them in groups. If one fails, the error says how many are stored.")

  @OptionGroup var arguments: StoreArguments

  @Argument(help: "Read this file of 'zssp store export'.")
  var file: String

  @Flag(help: "Replace ratchets of the same peers. Default: refuse.")
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
