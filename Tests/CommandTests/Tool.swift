// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

/// Runs the `zssp` that was built beside the tests.
final class Tool: Sendable {
  /// The result of a run that has ended.
  struct Result {
    let exitCode: Int32
    let output: String
    let errors: String
  }

  /// A folder of its own for the files of one test.
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "zssp-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit {
    do {
      try FileManager.default.removeItem(at: folder)
    } catch {
      Issue.record("cannot remove \(folder.path): \(error)")
    }
  }

  func path(_ name: String) -> String { folder.appending(path: name).path }

  /// Starts a run and returns at once.
  func start(
    _ arguments: [String], input: FileHandle? = .nullDevice, environment: [String: String] = [:]
  ) throws -> Run {
    try Run(executable: Self.executable(), arguments: arguments, input: input, environment: environment)
  }

  /// Runs to the end.
  func run(_ arguments: String...) throws -> Result { try start(arguments).finish() }

  /// Runs in a folder, to which relative paths refer.
  func run(in folder: String, _ arguments: [String]) throws -> Result {
    try shell(#"exec "$0" "$@""#, in: folder, arguments: arguments)
  }

  /// Runs a script of the shell's in a folder; `$0` is the tool.
  func shell(_ script: String, in folder: String, arguments: [String] = []) throws -> Result {
    try Run(
      executable: URL(filePath: "/bin/sh"), arguments: ["-c", script, Self.executable().path] + arguments,
      input: .nullDevice, environment: [:], folder: folder
    ).finish()
  }

  private static func executable() throws -> URL {
    // The tests' own program lies in the folder of all products.
    let own = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    var candidates = [own.deletingLastPathComponent()]
    candidates += [Bundle.main.bundleURL, Bundle.main.bundleURL.deletingLastPathComponent()]
    let found = candidates.map { $0.appending(path: "zssp") }.first {
      FileManager.default.isExecutableFile(atPath: $0.path)
    }
    return try #require(found, "zssp was not built beside the tests")
  }
}

/// A running `zssp`. It is killed with this object, and when it has not ended after ten minutes, so
/// that a program that hangs fails its test, whose waits for it cannot be cancelled.
final class Run {
  private static let patience = DispatchTimeInterval.seconds(600)

  private let process = Process()
  private let output = Pipe()
  private let errors = Pipe()
  private let collected = Collected()
  private let errorReader: Thread
  private let watchdog = DispatchSource.makeTimerSource()
  private var pending = Data()

  init(executable: URL, arguments: [String], input: FileHandle?, environment: [String: String], folder: String? = nil)
    throws
  {
    process.executableURL = executable
    if let folder { process.currentDirectoryURL = URL(filePath: folder) }
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = input
    process.standardOutput = output
    process.standardError = errors
    let handle = errors.fileHandleForReading
    let collected = collected
    // Both pipes are read all the time, or the program would stop at a full one.
    errorReader = Thread { collected.finish(handle.readDataToEndOfFile()) }
    try process.runWithSignals()
    errorReader.start()
    let pid = process.processIdentifier
    watchdog.setEventHandler { kill(pid, SIGKILL) }
    watchdog.schedule(deadline: .now() + Self.patience)
    watchdog.resume()
  }

  deinit {
    watchdog.cancel()
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
  }

  /// The next line of standard output; nil at its end.
  func nextLine() -> String? {
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = pending[..<end]
        pending = Data(pending[(end + 1)...])
        return String(decoding: line, as: UTF8.self)
      }
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { return nil }
      pending.append(more)
    }
  }

  /// The next event of `--json` output that `matches`; nil if the program ends before.
  func nextEvent(where matches: ([String: Any]) -> Bool) throws -> [String: Any]? {
    while let line = nextLine() {
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      if matches(object) { return object }
    }
    return nil
  }

  /// Sends the signal of Ctrl-C.
  func interrupt() { process.interrupt() }

  /// Sends any signal.
  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// Waits for the end.
  func finish() -> Tool.Result {
    var text = String(decoding: pending, as: UTF8.self)
    text += String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    watchdog.cancel()
    let errors = collected.wait()
    return Tool.Result(
      exitCode: process.terminationStatus, output: text, errors: String(decoding: errors, as: UTF8.self))
  }

  /// The bytes that a thread has read.
  private final class Collected: @unchecked Sendable {
    // `data` is written before the semaphore is signalled and read after it was waited for.
    private var data = Data()
    private let done = DispatchSemaphore(value: 0)

    func finish(_ data: Data) {
      self.data = data
      done.signal()
    }

    func wait() -> Data {
      done.wait()
      return data
    }
  }
}
