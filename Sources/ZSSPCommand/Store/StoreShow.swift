// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import ZSSP
import ZSSPSwiftCrypto

/// The stored ratchet states of a peer, as text and as JSON.
struct StoredPeer: Encodable {
  /// A ratchet state. Keys and whole fingerprints are included only if they are to be revealed.
  struct State: Encodable {
    var chainLength: UInt64
    /// The first four bytes of the fingerprint, as in logs.
    var name: String
    var fingerprint: Data?
    var key: Data?

    init(_ state: RatchetState, reveals: Bool) {
      chainLength = state.chainLength
      name = state.isEmpty ? "none" : state.fingerprint.description
      guard reveals else { return }
      fingerprint = Data(state.fingerprint.bytes)
      key = Data(state.key.bytes.array)
    }

    fileprivate var text: String {
      var text = "\(name), chain length \(chainLength)"
      if let fingerprint { text += "\n    fingerprint \(fingerprint.base64EncodedString())" }
      if let key { text += "\n    key         \(key.base64EncodedString())" }
      return text
    }
  }

  var peer: String
  var state1: State
  var state2: State?

  init(_ peer: PublicKey, pair: RatchetPair, reveals: Bool) {
    self.peer = peer.text
    state1 = State(pair.state1, reveals: reveals)
    state2 = pair.state2.map { State($0, reveals: reveals) }
  }

  /// The summary, one line.
  var line: String { "\(peer)  chain length \(state1.chainLength)\(state2 == nil ? "" : ", and one state before it")" }

  /// The details, several lines.
  var text: String {
    "peer \(peer)\n  state 1: \(state1.text)" + (state2.map { "\n  state 2: \($0.text)" } ?? "")
  }
}

struct StoreList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the peers that have ratchets in a store.")

  @OptionGroup var arguments: StoreArguments

  @Flag(help: "Print one JSON object per peer and line. Default: off.")
  var json = false

  func run() async throws {
    let rows = try await arguments.use(creates: false) { store in try await store.everything() }
    for (peer, row) in rows.sorted(by: { $0.key < $1.key }) {
      let stored = StoredPeer(peer, pair: row.pair, reveals: false)
      if json { try Terminal.output(json: stored) } else { Terminal.output(stored.line) }
    }
  }
}

struct StoreShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show the ratchet of one peer.")

  @OptionGroup var arguments: StoreArguments

  @Argument(help: "Show this public key, in base64 or 98 hexadecimal digits.")
  var peer: String

  @Flag(help: "Print keys and whole fingerprints too, with which others can pose as the peer. Default: off.")
  var reveal = false

  @Flag(help: "Print one JSON object. Default: off.")
  var json = false

  func run() async throws {
    let key = try KeyReader.publicKey(peer, option: "peer")
    let row = try await arguments.use(creates: false) { store in try await store.everything()[key] }
    guard let row else { throw CommandFailure.usage("\(arguments.store): no ratchet for the peer \(peer)") }
    let stored = StoredPeer(key, pair: row.pair, reveals: reveal)
    if json { try Terminal.output(json: stored) } else { Terminal.output(stored.text) }
  }
}
