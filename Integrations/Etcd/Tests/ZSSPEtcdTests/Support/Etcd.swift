// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSP
import ZSSPProviders
import ZSSPStoreTesting

@testable import ZSSPEtcd

/// The place of etcd, if it is installed.
enum Etcd {
  /// Set in CI: then tests that need etcd fail where it is missing.
  static let isRequired = ProcessInfo.processInfo.environment["ZSSP_ETCD_REQUIRED"] != nil
  static let missing: Comment = "etcd is not installed (Debian: etcd-server); set ZSSP_ETCD_REQUIRED to have this fail"

  static let path = find("etcd")

  static var isTested: Bool { path != nil || isRequired }

  static func find(_ name: String) -> String? {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
    return (folders + ["/usr/bin", "/usr/local/bin"]).map { "\($0)/\(name)" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }
}

/// A folder of a test's own.
final class Folder: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "zssp-etcd-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit {
    do { try FileManager.default.removeItem(at: url) } catch { Issue.record("cannot remove \(url.path): \(error)") }
  }

  func path(_ name: String) -> String { url.appending(path: name).path }
}

/// Runs a program to its end.
@discardableResult
func run(_ program: String, _ arguments: String...) throws -> String {
  let process = Process()
  let output = Pipe()
  process.executableURL = URL(filePath: program)
  process.arguments = arguments
  process.standardOutput = output
  process.standardError = output
  process.standardInput = FileHandle.nullDevice
  try process.run()
  let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  try #require(process.terminationStatus == 0, "\(program) \(arguments): \(text)")
  return text
}

/// Returns ports that are free at this moment.
func freePorts(_ count: Int) throws -> [Int] {
  var descriptors: [Int32] = []
  defer { for descriptor in descriptors { close(descriptor) } }
  return try (0..<count).map { _ in
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    descriptors.append(descriptor)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        bind(descriptor, pointer, size) == 0 && getsockname(descriptor, pointer, &size) == 0
      }
    }
    try #require(isBound, "no free port")
    return Int(UInt16(bigEndian: address.sin_port))
  }
}

enum Sample {
  static let key = Secret(copying: [UInt8](repeating: 7, count: 32).span.bytes)

  /// A key with this number, and a point's first byte: the store does not look further.
  static func peer(_ number: Int) throws -> PublicKey {
    var bytes = [UInt8](repeating: 0, count: PublicKey.size)
    (bytes[0], bytes[47], bytes[48]) = (2, UInt8(number / 256), UInt8(number % 256))
    return try #require(PublicKey(bytes))
  }

  /// A state of this number, which is its chain length, and no other's.
  static func state(_ number: UInt64, of peer: Int = 0) -> RatchetState {
    let bytes = (0..<32).map { index in
      index < 8 ? UInt8(truncatingIfNeeded: number >> (8 * index)) : UInt8(truncatingIfNeeded: peer + index)
    }
    return RatchetState(
      key: Secret(copying: bytes.span.bytes), fingerprint: Fingerprint(bytes.span.bytes), chainLength: number)
  }

  static func pair(_ number: UInt64, of peer: Int = 0) -> RatchetPair {
    number == 0 ? .empty : RatchetPair(state(number, of: peer))
  }
}

extension EtcdRatchetStore {
  func swap(_ peer: PublicKey, _ expected: RatchetPair, _ new: RatchetPair) async -> StoreAnswer {
    await answer(.compareAndSwap(peer: peer, expected: expected, new: new))
  }

  func pair(_ peer: PublicKey) async -> RatchetPair? {
    guard case .pair(let pair, _) = await answer(.load(peer: peer)) else { return nil }
    return pair
  }
}

extension StoreAnswer {
  var isSwapped: Bool { if case .swapped = self { true } else { false } }
  var isNotSwapped: Bool { if case .notSwapped = self { true } else { false } }
  var isUnknown: Bool { if case .unknown = self { true } else { false } }
  var isFailed: Bool { if case .failed = self { true } else { false } }
}
