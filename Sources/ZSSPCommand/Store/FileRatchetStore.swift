// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP
import ZSSPFiles
import ZSSPNIO

/// Ratchet states in one JSON file. Each change writes a new file, syncs it, and moves it into
/// place.
///
/// It is meant for a few peers. The file has mode 0600. A lock file beside it excludes other
/// processes.
actor FileRatchetStore: KeptRatchets {
  /// The path without symbolic links, so that all names of a file share one lock.
  private let path: String
  private let trust: FileTrust
  private let system: FileOperations
  private var lock: Int32
  /// The content of the file; nil while unknown, because a failed write may have changed it.
  private var memory: MemoryRatchetStore?
  /// True if a failure was reported and lasts.
  private var isFailureReported = false

  /// Opens the file, or starts empty if it does not exist.
  ///
  /// - Parameters:
  ///   - given: The path of the file.
  ///   - owner: A user whose file is trusted, in addition to root and the current user.
  ///   - system: The system calls, which tests replace.
  /// - Throws: ``CommandFailure``.
  init(
    path given: String, owner: UInt32? = nil, system: FileOperations = FileOperations()
  ) throws(CommandFailure) {
    let trust = FileTrust(other: owner)
    self.trust = trust
    self.system = system
    let path: String
    let opened: MemoryRatchetStore
    do {
      path = try PathParts.resolve(given)
      // This precedes the lock file, which must not be made beside a file that is no store.
      opened = try Self.load(path, trust: trust) ?? Self.empty(path, trust: trust)
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
      // Another process may have written the file before it released the lock.
      memory = try Self.load(path, trust: trust) ?? opened
    } catch {
      Foundation.close(lock)
      throw .usage("--store \(error)")
    }
  }

  deinit { Self.unlock(lock) }

  /// Releases the file. Later requests fail.
  func finish() {
    Self.unlock(lock)
    lock = -1
  }

  private static func unlock(_ lock: Int32) {
    guard lock >= 0 else { return }
    // A process that is just being started holds copies of all descriptors, and so the lock, until
    // it runs its program.
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

  /// Returns the problems of the states in the file. Throws if the file cannot be read.
  func problems() throws(CommandFailure) -> [String] {
    var owners: [Fingerprint: PublicKey] = [:]
    return try everything().sorted { $0.key < $1.key }.flatMap { peer, row in row.pair.problems(of: peer, &owners) }
  }

  /// Returns the content. After a failed write that may have taken effect, reads the file again
  /// once it is durable.
  private func current() throws -> MemoryRatchetStore {
    if let memory { return memory }
    try PrivateFile.syncFolder(of: path, system)
    guard let found = try Self.load(path, trust: trust) else { throw CommandFailure.usage("\(path): the file is gone") }
    memory = found
    return found
  }

  // [RAT-6]
  private func keep(_ next: MemoryRatchetStore) throws {
    do {
      try PrivateFile.write(RatchetFile.text(next.rows), to: path, replaces: true, system: system)
    } catch let failure as FileFailure where failure.kind == .inPlace {
      // It is unknown whether the write survives a loss of power, and so is the content.
      memory = nil
      throw failure
    }
    memory = next
    isFailureReported = false
  }

  /// Returns an empty store, after a check that no other user can put a file there.
  private static func empty(_ path: String, trust: FileTrust) throws -> MemoryRatchetStore {
    try PrivateFile.checkFolder(of: path, trust: trust)
    return MemoryRatchetStore()
  }

  /// Returns the content of the file; nil if it does not exist.
  private static func load(_ path: String, trust: FileTrust) throws -> MemoryRatchetStore? {
    let text: String
    do {
      let contents = try PrivateFile.read(
        path, limit: SecretFile.Kind.ratchets.limit, isFile: true, trust: trust)
      SecretFile.warn(SecretFile.warning(of: contents, kind: .ratchets))
      text = try SecretFile.text(of: contents, path: path)
    } catch let failure as FileFailure where failure.kind == .missing {
      return nil
    }
    do { return MemoryRatchetStore(rows: try RatchetFile.rows(in: text)) } catch {
      throw CommandFailure.usage("\(path): \(error)")
    }
  }
}
