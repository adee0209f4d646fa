// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP
import ZSSPNIO

/// Ratchet states in one file of JSON, which is written anew, synced, and moved into place for every change.
///
/// Good for a few peers. The file is created 0600, and locked against a second process by a file beside it.
actor FileRatchetStore: KeptRatchets {
  private let path: String
  private var lock: Int32
  private var memory: MemoryRatchetStore

  /// Opens the file, or begins with nothing if there is none.
  init(path: String) throws(CommandFailure) {
    self.path = path
    lock = open("\(path).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0 else {
      throw .usage("--store \(path): cannot create the lock beside it: \(String(cString: strerror(errno)))")
    }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      Foundation.close(lock)
      throw .usage("--store \(path): in use by another process")
    }
    do {
      memory = try Self.load(path)
    } catch {
      Foundation.close(lock)
      throw error
    }
  }

  deinit { Self.unlock(lock) }

  /// Gives the file back.
  func finish() {
    Self.unlock(lock)
    lock = -1
  }

  private static func unlock(_ lock: Int32) {
    guard lock >= 0 else { return }
    // A process that is just being started has all descriptors until it runs its program, and with them the lock.
    flock(lock, LOCK_UN)
    Foundation.close(lock)
  }

  func answer(_ request: StoreRequest) -> StoreAnswer {
    guard lock >= 0 else { return .failed }
    var next = memory
    let answer = next.answer(request)
    guard let peer = request.peer, next.rows[peer] != memory.rows[peer] else { return answer }
    do {
      try keep(next)
    } catch {
      Terminal.error("--store \(path): \(error)")
      return .failed
    }
    return answer
  }

  func everything() -> [PublicKey: RatchetRow] { memory.rows }

  func put(_ rows: [PublicKey: RatchetRow], replaces: Bool) throws(CommandFailure) {
    var all = memory.rows
    for (peer, row) in rows {
      guard replaces || all[peer]?.pair ?? row.pair == row.pair else {
        throw .usage("\(path): there is another ratchet for \(peer.text)")
      }
      all[peer] = row
    }
    do { try keep(MemoryRatchetStore(rows: all)) } catch { throw .usage("\(path): \(error)") }
  }

  /// A file that has been read has nothing wrong with it but what its states say.
  func problems() -> [String] {
    var owners: [Fingerprint: PublicKey] = [:]
    return memory.pairs.sorted { $0.key < $1.key }.flatMap { peer, pair in pair.problems(of: peer, &owners) }
  }

  private func keep(_ next: MemoryRatchetStore) throws {
    try PrivateFile.write(RatchetFile.text(next.rows), to: path, replaces: true)
    memory = next
  }

  private static func load(_ path: String) throws(CommandFailure) -> MemoryRatchetStore {
    guard FileManager.default.fileExists(atPath: path) else { return MemoryRatchetStore() }
    let text = try PrivateFile.read(path)
    do {
      return MemoryRatchetStore(rows: try RatchetFile.rows(in: text))
    } catch {
      throw .usage("--store \(path): \(error)")
    }
  }
}
