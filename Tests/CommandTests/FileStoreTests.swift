// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPFiles
import ZSSPStoreTesting

@testable import ZSSPCommand

@Suite("The contract of ratchet stores, in a file", .tags(.slow), .timeLimit(.minutes(20)))
struct FileStoreTests {
  /// A disk that works, on which nothing can be written, or whose folders cannot be synced once a
  /// file has its new name.
  private final class Disk: Sendable {
    enum Fault { case none, full, unsyncedFolder }

    private let fault = Mutex(Fault.none)

    func set(_ new: Fault) { fault.withLock { $0 = new } }

    /// The system's calls, but for what fails.
    var operations: FileOperations {
      var operations = FileOperations()
      let write = operations.write
      let syncFolder = operations.syncFolder
      operations.write = { [self] descriptor, bytes in
        guard fault.withLock({ $0 == .full }) else { return write(descriptor, bytes) }
        errno = ENOSPC
        return -1
      }
      operations.syncFolder = { [self] descriptor in
        guard fault.withLock({ $0 == .unsyncedFolder }) else { return syncFolder(descriptor) }
        errno = EIO
        return -1
      }
      return operations
    }
  }

  private struct Medium: StoreMedium {
    let tool: Tool
    let disk = Disk()

    init() throws { tool = try Tool() }

    private var path: String { tool.path("store") }

    func open() throws -> any RatchetStore { try FileRatchetStore(path: path, system: disk.operations) }
    func close(_ store: any RatchetStore) async throws { await (store as? FileRatchetStore)?.finish() }
    func contents(of store: any RatchetStore) throws -> [UInt8]? { Array(try Data(contentsOf: URL(filePath: path))) }

    func setFailing(_ isFailing: Bool) -> Bool {
      disk.set(isFailing ? .full : .none)
      return true
    }

    func setFailingAfterEffect(_ isFailing: Bool) -> Bool {
      disk.set(isFailing ? .unsyncedFolder : .none)
      return true
    }
  }

  @Test(arguments: StoreConformance.cases)
  func conformance(_ rule: StoreConformance) async throws { #expect(try await rule.run(on: Medium()) == .passed) }

  /// An empty store in its place would be a downgrade for every peer.
  @Test func aFileThatIsGoneAfterAFailureIsNotReplaced() async throws {
    let tool = try Tool()
    let disk = Disk()
    let store = try FileRatchetStore(path: tool.path("store"), system: disk.operations)
    let peer = try PublicKey(text: tool.run("keygen", tool.path("key")).output.trimmingCharacters(in: .newlines))
    disk.set(.unsyncedFolder)
    let state = RatchetState(
      key: .zeros(32), fingerprint: Fingerprint([UInt8](repeating: 1, count: 32).rawBytes), chainLength: 1)
    guard case .failed = await store.answer(.compareAndSwap(peer: peer, expected: .empty, new: RatchetPair(state)))
    else {
      Issue.record("a swap whose folder could not be synced was not answered failed")
      return
    }
    disk.set(.none)
    try FileManager.default.removeItem(atPath: tool.path("store"))
    guard case .failed = await store.answer(.load(peer: peer)) else {
      Issue.record("a store whose file is gone answered as if it were empty")
      return
    }
    await store.finish()
  }

  @Test func allNamesOfAFileHaveOneLock() async throws {
    let tool = try Tool()
    let store = try FileRatchetStore(path: tool.path("store"))
    try FileManager.default.createSymbolicLink(atPath: tool.path("link"), withDestinationPath: tool.path("store"))
    // A link to nothing is the name of a new store beside it.
    try await store.put([:], replaces: true)
    let error = try #require(throws: CommandFailure.self) { _ = try FileRatchetStore(path: tool.path("link")) }
    #expect(error.description.contains("in use by another process"))
    await store.finish()
  }
}
