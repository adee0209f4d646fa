// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Runs programs of the system to their ends.
enum SystemCommand {
  /// The result of a program.
  struct Result {
    /// The path of the program.
    let program: String
    let exitCode: Int32
    let output: String
    let errors: String

    /// True if the error says that the object to be removed does not exist.
    var saysGone: Bool { SystemCommand.saysGone(errors) }

    /// The reason of the failure, from the program's error output.
    var reason: String {
      let text = errors.trimmingCharacters(in: .whitespacesAndNewlines)
      guard text.isEmpty else { return text }
      return exitCode > 128
        ? "\(program) was ended by signal \(exitCode - 128)" : "\(program) ended with exit code \(exitCode)"
    }
  }

  /// A line of a batch that failed.
  struct LineFailure: Equatable, CustomStringConvertible {
    let line: String
    let reason: String

    /// True if the error says that the object to be removed does not exist.
    var saysGone: Bool { SystemCommand.saysGone(reason) }

    /// The command and the reason.
    var description: String { "ip \(line): \(reason)" }
  }

  private static func saysGone(_ errors: String) -> Bool {
    ["No such process", "Cannot find device", "No such file or directory", "does not exist"].contains {
      errors.contains($0)
    }
  }

  /// The folders that are searched: the PATH of a service may lack the administrator's folders.
  private static let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]

  /// Returns the path of a program; nil if it is not installed.
  static func path(of name: String) -> String? {
    folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// Runs `ip` with a batch of commands.
  ///
  /// - Throws: ``TunnelError/setUp(step:reason:)``.
  static func batch(_ lines: [String], step: String) throws(TunnelError) {
    guard !lines.isEmpty else { return }
    let result = try ip(["-batch", "-"], input: lines.joined(separator: "\n") + "\n", step: step)
    guard result.exitCode == 0 else {
      throw .setUp(step: step, reason: batchFailure(result.reason, in: lines))
    }
  }

  /// Runs `ip` with a batch of commands, each whatever became of the others.
  ///
  /// - Returns: The lines that failed.
  /// - Throws: ``TunnelError/setUp(step:reason:)`` if `ip` cannot run, or does not say which
  ///   failed.
  static func each(_ lines: [String], step: String) throws(TunnelError) -> [LineFailure] {
    guard !lines.isEmpty else { return [] }
    let result = try ip(["-force", "-batch", "-"], input: lines.joined(separator: "\n") + "\n", step: step)
    guard result.exitCode != 0 else { return [] }
    let failures = lineFailures(result.errors, in: lines)
    guard !failures.isEmpty else { throw .setUp(step: step, reason: result.reason) }
    return failures
  }

  /// Returns the lines of a batch that failed, from the error messages of `ip`: for each line its
  /// reasons, and then its number.
  static func lineFailures(_ errors: String, in lines: [String]) -> [LineFailure] {
    var failures: [LineFailure] = []
    var reasons: [Substring] = []
    for text in errors.split(separator: "\n") {
      guard let line = failedLine(text, in: lines) else {
        reasons.append(text)
        continue
      }
      failures.append(LineFailure(line: line, reason: reasons.isEmpty ? "failed" : reasons.joined(separator: ": ")))
      reasons = []
    }
    return failures
  }

  /// Returns the line that an error message of `ip` refers to by its number; nil for other
  /// messages.
  private static func failedLine(_ text: Substring, in lines: [String]) -> String? {
    let mark = "Command failed -:"
    guard text.hasPrefix(mark), let number = Int(text.dropFirst(mark.count)), lines.indices.contains(number - 1) else {
      return nil
    }
    return lines[number - 1]
  }

  /// Replaces the line numbers in error messages of `ip` by the lines.
  static func batchFailure(_ errors: String, in lines: [String]) -> String {
    let words = errors.split(separator: "\n").map { text in
      failedLine(text, in: lines).map { "ip \($0)" } ?? String(text)
    }
    return words.reversed().joined(separator: ": ")
  }

  /// Runs `ip` with arguments.
  ///
  /// - Throws: ``TunnelError/setUp(step:reason:)`` if it cannot run. A failure of the command is in
  ///   the result.
  static func ip(_ arguments: [String], input: String = "", step: String) throws(TunnelError) -> Result {
    guard let program = path(of: "ip") else {
      throw .setUp(step: step, reason: "there is no program 'ip'; install iproute2")
    }
    let result = try run(program, arguments: arguments, input: input, step: step)
    // BusyBox's version lacks -batch and most other features.
    if result.exitCode != 0, (result.errors + result.output).contains("BusyBox") {
      throw .setUp(step: step, reason: "\(program) is BusyBox's, which cannot do this; install iproute2")
    }
    return result
  }

  /// Runs a shell command, which shares standard output and standard error.
  ///
  /// - Throws: ``TunnelError/hookFailed(command:exitCode:)`` or
  ///   ``TunnelError/setUp(step:reason:)``.
  static func hook(_ command: String, interface: String) throws(TunnelError) {
    let code: Int32
    do {
      let words = ["sh", "-c", command.replacing("%i", with: interface)]
      code = try ChildProcess("/bin/sh", arguments: words, descriptors: [-1, STDOUT_FILENO, STDERR_FILENO]).wait()
    } catch {
      throw .setUp(step: "hook \"\(command)\"", reason: "/bin/sh cannot be run: \(error)")
    }
    guard code == 0 else { throw .hookFailed(command: command, exitCode: code) }
  }

  /// Runs a program with arguments and a text as its input.
  ///
  /// - Throws: ``TunnelError/setUp(step:reason:)`` if it cannot run. Its failure is in the result.
  static func run(
    _ program: String, arguments: [String], input: String = "", step: String
  ) throws(TunnelError) -> Result {
    do {
      let stdin = try MemoryFile(input)
      let stdout = try MemoryFile()
      let stderr = try MemoryFile()
      let name = String(program.split(separator: "/").last ?? "")
      let descriptors = [stdin.descriptor, stdout.descriptor, stderr.descriptor]
      let code = try ChildProcess(program, arguments: [name] + arguments, descriptors: descriptors).wait()
      return Result(program: program, exitCode: code, output: stdout.text, errors: stderr.text)
    } catch {
      throw .setUp(step: step, reason: "\(program) cannot be run: \(error)")
    }
  }
}
