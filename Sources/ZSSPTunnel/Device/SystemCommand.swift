// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Programs of the system's that are run to their ends.
enum SystemCommand {
  /// What a program left.
  struct Result {
    let exitCode: Int32
    let output: String
    let errors: String

    /// Whether what was to be removed is not there.
    var saysGone: Bool { errors.contains("No such process") || errors.contains("Cannot find device") }
  }

  /// Where `ip` is looked for: the path of a service may lack the folders of administrators.
  private static let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]

  /// Runs `ip` with lines of commands as its input.
  static func batch(_ lines: [String], step: String) throws(TunnelError) {
    guard !lines.isEmpty else { return }
    let result = try ip(["-batch", "-"], input: lines.joined(separator: "\n") + "\n", step: step)
    guard result.exitCode == 0 else {
      throw .setUp(step: step, reason: batchFailure(result.errors, lines))
    }
  }

  /// What `ip` says of a line, with the line that it names by its number only.
  static func batchFailure(_ errors: String, _ lines: [String]) -> String {
    let mark = "Command failed -:"
    let words = errors.split(separator: "\n").map { text in
      guard text.hasPrefix(mark), let number = Int(text.dropFirst(mark.count)), lines.indices.contains(number - 1)
      else {
        return String(text)
      }
      return "ip \(lines[number - 1])"
    }
    return words.reversed().joined(separator: ": ")
  }

  /// Runs `ip` with arguments.
  static func ip(_ arguments: [String], input: String = "", step: String) throws(TunnelError) -> Result {
    let program = folders.map { "\($0)/ip" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    guard let program else { throw .setUp(step: step, reason: "there is no program 'ip' (Debian's iproute2)") }
    do {
      return try run(program, arguments, input: input)
    } catch {
      throw .setUp(step: step, reason: "\(program) cannot be run: \(error)")
    }
  }

  /// Runs a command of the shell's, whose output is ours.
  static func hook(_ command: String, interface: String) throws(TunnelError) {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", command.replacing("%i", with: interface)]
    process.standardInput = FileHandle.nullDevice
    do { try process.run() } catch { throw .setUp(step: "hook \"\(command)\"", reason: "\(error)") }
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw .hookFailed(command: command, exitCode: process.terminationStatus)
    }
  }

  private static func run(_ program: String, _ arguments: [String], input: String) throws -> Result {
    let (process, stdin, stdout, stderr) = (Process(), Pipe(), Pipe(), Pipe())
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    (process.standardInput, process.standardOutput, process.standardError) = (stdin, stdout, stderr)
    try process.run()
    // `ip` says little while it reads, so that no pipe is full before all is written.
    try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try stdin.fileHandleForWriting.close()
    let output = stdout.fileHandleForReading.readDataToEndOfFile()
    let errors = stderr.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Result(
      exitCode: process.terminationStatus, output: String(decoding: output, as: UTF8.self),
      errors: String(decoding: errors, as: UTF8.self))
  }
}
