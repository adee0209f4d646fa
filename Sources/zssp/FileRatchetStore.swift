// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP
import ZSSPNIO

/// Ratchet states in one file of JSON, which is written anew, synced, and moved into place for every change.
///
/// Good for a few peers. The file is created 0600, and locked against a second process by a file beside it.
actor FileRatchetStore: RatchetStore {
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

  deinit { if lock >= 0 { Foundation.close(lock) } }

  /// Gives the file back. Nothing can be asked afterwards.
  func close() {
    guard lock >= 0 else { return }
    Foundation.close(lock)
    lock = -1
  }

  func answer(_ request: StoreRequest) -> StoreAnswer {
    guard lock >= 0 else { return .failed }
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
    do {
      return MemoryRatchetStore(pairs: try RatchetFile.pairs(in: text))
    } catch {
      throw .usage("--store \(path): \(error)")
    }
  }

  private static func save(_ store: MemoryRatchetStore, _ path: String) throws {
    try PrivateFile.write(RatchetFile.text(store.pairs), to: path, replaces: true)
  }
}
