// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A run of the `zssp-etcd` that was built beside the tests. It is killed when the object goes.
final class Program {
  private let process = Process()
  private let output = Pipe()
  private let errors = Pipe()
  private var pending = Data()

  init(_ arguments: [String], environment: [String: String] = [:]) throws {
    let folder = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
    let candidates = [folder, Bundle.main.bundleURL, Bundle.main.bundleURL.deletingLastPathComponent()]
    let found = candidates.map { $0.appending(path: "zssp-etcd") }.first {
      FileManager.default.isExecutableFile(atPath: $0.path)
    }
    let executable: URL = try #require(found, "zssp-etcd was not built beside the tests")
    process.executableURL = executable
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
    try process.run()
  }

  deinit { kill() }

  /// Ends it at once.
  func kill() { if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) } }

  /// The next event of `--json` output that `matches`; nil if the program ends before.
  func nextEvent(where matches: ([String: Any]) -> Bool) throws -> [String: Any]? {
    while true {
      while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = Data(pending[..<end])
        pending = Data(pending[(end + 1)...])
        let object = try #require(try JSONSerialization.jsonObject(with: line) as? [String: Any])
        if matches(object) { return object }
      }
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { return nil }
      pending += more
    }
  }

  /// Waits for the end. What it prints is little, so that no pipe is full.
  func finish() -> (exitCode: Int32, output: String, errors: String) {
    let text = String(decoding: pending + output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let errors = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text, errors)
  }
}
