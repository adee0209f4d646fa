// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP
import ZSSPFiles
import ZSSPNIO

/// Ratchet states in one file of JSON, which is written anew, synced, and moved into place for every change.
///
/// Good for a few peers. The file is created 0600, and locked against a second process by a file beside it.
actor FileRatchetStore: KeptRatchets {
  /// The path without links, so that all names of a file have one lock.
  private let path: String
  private let trust: FileTrust
  private let system: FileOperations
  private var lock: Int32
  /// What is in the file; nil while that is not known, because a write that failed may have changed it.
  private var memory: MemoryRatchetStore?
  /// Whether a failure was reported that has not ended.
  private var isFailureReported = false

  /// Opens the file, or begins with nothing if there is none.
  ///
  /// - Parameters:
  ///   - path: where the file is or will be.
  ///   - owner: a user beside root and ourselves whose file is believed.
  ///   - system: the calls to the system.
  init(
    path given: String, owner: UInt32? = nil, system: FileOperations = FileOperations()
  ) throws(CommandFailure) {
    let trust = FileTrust(other: owner)
    (self.trust, self.system) = (trust, system)
    let path: String
    let opened: MemoryRatchetStore
    do {
      path = try PathParts.resolve(given)
      // Before a lock is made beside what is no store.
      opened = try Self.load(path, trust) ?? Self.empty(path, trust)
    } catch {
      throw .usage("--store \(error)")
    }
    self.path = path
    lock = open("\(path).lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard lock >= 0 else {
      let reason = String(cString: strerror(errno))
      let message = "--store \(path): cannot create the lock beside it: \(reason)"
      throw StoreLocation.isPassing(reason) ? .unavailable(message) : .usage(message)
    }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      Foundation.close(lock)
      throw .unavailable("--store \(path): \(StoreLocation.inUse)")
    }
    do {
      // Another process may have written it before it gave the lock back.
      memory = try Self.load(path, trust) ?? opened
    } catch {
      Foundation.close(lock)
      throw .usage("--store \(error)")
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
    do {
      let held = try current()
      var next = held
      let answer = next.answer(request)
      if let peer = request.peer, next.rows[peer] != held.rows[peer] { try keep(next) }
      return answer
    } catch {
      if !isFailureReported { Terminal.error("--store \(error)") }
      isFailureReported = true
      return .failed
    }
  }

  func everything() throws(CommandFailure) -> [PublicKey: RatchetRow] {
    do { return try current().rows } catch { throw .usage("\(error)") }
  }

  func put(_ rows: [PublicKey: RatchetRow], replaces: Bool) throws(CommandFailure) {
    var all = try everything()
    for (peer, row) in rows {
      guard replaces || all[peer]?.pair ?? row.pair == row.pair else {
        throw .usage("\(path): there is another ratchet for \(peer.text)")
      }
      all[peer] = row
    }
    do { try keep(MemoryRatchetStore(rows: all)) } catch { throw .usage("\(error)") }
  }

  /// A file that has been read has nothing wrong with it but what its states say.
  func problems() throws(CommandFailure) -> [String] {
    var owners: [Fingerprint: PublicKey] = [:]
    return try everything().sorted { $0.key < $1.key }.flatMap { peer, row in row.pair.problems(of: peer, &owners) }
  }

  /// Returns what is held. After a write that may have taken effect that is what the file says, once it is durable.
  private func current() throws -> MemoryRatchetStore {
    if let memory { return memory }
    try PrivateFile.syncFolder(of: path, system)
    guard let found = try Self.load(path, trust) else { throw CommandFailure.usage("\(path): the file is gone") }
    memory = found
    return found
  }

  // [RAT-6]
  private func keep(_ next: MemoryRatchetStore) throws {
    do {
      try PrivateFile.write(RatchetFile.text(next.rows), to: path, replaces: true, system)
    } catch let failure as FileFailure where failure.kind == .inPlace {
      // Whether it outlasts a loss of power is not known, so that neither is what is held.
      memory = nil
      throw failure
    }
    memory = next
    isFailureReported = false
  }

  /// A store without peers, where nobody else can put another.
  private static func empty(_ path: String, _ trust: FileTrust) throws -> MemoryRatchetStore {
    try PrivateFile.checkFolder(of: path, trust: trust)
    return MemoryRatchetStore()
  }

  /// Returns what is in the file; nil if there is none.
  private static func load(_ path: String, _ trust: FileTrust) throws -> MemoryRatchetStore? {
    let text: String
    do {
      text = try SecretFile.text(
        PrivateFile.read(path, limit: SecretFile.Kind.ratchets.limit, isFile: true, trust: trust), path)
    } catch let failure as FileFailure where failure.kind == .missing {
      return nil
    }
    do { return MemoryRatchetStore(rows: try RatchetFile.rows(in: text)) } catch {
      throw CommandFailure.usage("\(path): \(error)")
    }
  }
}
