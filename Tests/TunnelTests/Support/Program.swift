// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

/// A program that runs beside the test. It is killed with this object, and when a test has waited
/// for its end for ten minutes, so that a program that hangs fails its test.
final class Program: @unchecked Sendable {
  private static let patience = DispatchTimeInterval.seconds(600)

  // The process is started before anybody else sees this, and its methods are safe to call from any
  // thread.
  private let process = Process()
  private let collected = Collected()
  private let done = DispatchSemaphore(value: 0)

  /// The result of a program that has ended.
  struct Result {
    let exitCode: Int32
    /// Standard output and errors, as they came.
    let output: String
  }

  /// Starts a program, with what it says going to one place.
  init(_ words: [String]) throws {
    let output = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = words
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    let collected = collected
    let done = done
    try process.runWithSignals()
    let reading = output.fileHandleForReading
    Thread {
      while case let data = reading.availableData, !data.isEmpty { collected.append(data) }
      done.signal()
    }.start()
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  /// The output of the program so far.
  var output: String { collected.text }
  var isRunning: Bool { process.isRunning }
  /// The number of the process.
  var id: Int32 { process.processIdentifier }

  /// Sends a signal.
  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// Waits for the end.
  func finish() -> Result {
    if done.wait(timeout: .now() + Self.patience) == .timedOut { send(SIGKILL) }
    process.waitUntilExit()
    return Result(exitCode: process.terminationStatus, output: output)
  }

  /// Waits until the program has said something, or has ended.
  func waits(for text: String) async throws {
    while !output.contains(text) {
      try #require(isRunning, "ended: \(output)")
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  /// The bytes that have arrived, under a lock.
  private final class Collected: @unchecked Sendable {
    private let lock = NSLock()
    private var data = Data()

    func append(_ more: Data) { lock.withLock { data.append(more) } }
    var text: String { lock.withLock { String(decoding: data, as: UTF8.self) } }
  }
}
