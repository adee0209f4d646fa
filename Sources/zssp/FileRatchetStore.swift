// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP
import ZSSPNIO

/// Ratchet states in one file of JSON, which is written anew, synced, and moved into place for every change.
///
/// Good for a few peers. The file is created 0600, and locked against a second process by a file beside it.
actor FileRatchetStore: RatchetStore {
  /// The file's content.
  private struct Content: Codable {
    static let format = "zssp ratchet store"
    static let version = 1
    var format = Self.format
    var version = Self.version
    var peers: [String: Pair] = [:]
  }

  private struct Pair: Codable {
    var state1: State
    var state2: State?
  }

  private struct State: Codable {
    var key: Data
    var fingerprint: Data
    var chainLength: UInt64
  }

  private let path: String
  private let lock: Int32
  private var memory: MemoryRatchetStore

  /// Opens the file, or begins with nothing if there is none.
  init(path: String) throws(CommandFailure) {
    self.path = path
    lock = open("\(path).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0 else {
      throw .usage("--store \(path): cannot create the lock beside it: \(String(cString: strerror(errno)))")
    }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      close(lock)
      throw .usage("--store \(path): in use by another process")
    }
    do {
      memory = try Self.load(path)
    } catch {
      close(lock)
      throw error
    }
  }

  deinit { close(lock) }

  func answer(_ request: StoreRequest) -> StoreAnswer {
    var next = memory
    let answer = next.answer(request)
    guard case .swapped = answer else { return answer }
    do {
      try Self.save(next, path)
    } catch {
      Terminal.error("--store \(path): \(error)")
      return .failed
    }
    memory = next
    return answer
  }

  private static func load(_ path: String) throws(CommandFailure) -> MemoryRatchetStore {
    guard FileManager.default.fileExists(atPath: path) else { return MemoryRatchetStore() }
    let text = try PrivateFile.read(path)
    let content: Content
    do {
      content = try JSONDecoder().decode(Content.self, from: Data(text.utf8))
    } catch {
      throw .usage("--store \(path): not a ratchet store, or damaged; it is left as it is")
    }
    guard content.format == Content.format else { throw .usage("--store \(path): not a ratchet store") }
    guard content.version <= Content.version else {
      throw .usage(
        "--store \(path): version \(content.version) is newer than this zssp, which knows \(Content.version)")
    }
    var pairs: [PublicKey: RatchetPair] = [:]
    for (key, pair) in content.peers {
      guard let peer = try? PublicKey(text: key), let state1 = state(pair.state1) else {
        throw .usage("--store \(path): the entry of \(key) is damaged; the file is left as it is")
      }
      let state2 = pair.state2.map(state)
      if case .some(.none) = state2 {
        throw .usage("--store \(path): the entry of \(key) is damaged; the file is left as it is")
      }
      pairs[peer] = RatchetPair(state1, state2 ?? nil)
    }
    return MemoryRatchetStore(pairs: pairs)
  }

  private static func state(_ state: State) -> RatchetState? {
    guard state.key.count == 32, state.fingerprint.count == Fingerprint.size else { return nil }
    let (key, fingerprint) = (Array(state.key), Array(state.fingerprint))
    return RatchetState(
      key: Secret(copying: key.rawBytes), fingerprint: Fingerprint(fingerprint.rawBytes),
      chainLength: state.chainLength)
  }

  private static func save(_ store: MemoryRatchetStore, _ path: String) throws {
    func encodable(_ state: RatchetState) -> State {
      State(
        key: Data(state.key.bytes.array), fingerprint: Data(state.fingerprint.bytes), chainLength: state.chainLength)
    }
    var content = Content()
    for (peer, pair) in store.pairs {
      content.peers[peer.text] = Pair(state1: encodable(pair.state1), state2: pair.state2.map(encodable))
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try PrivateFile.write(String(decoding: encoder.encode(content), as: UTF8.self) + "\n", to: path, replaces: true)
  }
}
