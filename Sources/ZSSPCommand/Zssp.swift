// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// The command-line tool `zssp`, for executables that are it, or it with more kinds of stores.
public enum CommandLineTool {
  /// Runs the command that the arguments of the process name, and ends the process with exit code 1 or 2 if it fails.
  ///
  /// - Parameter stores: what `--store` and the store commands take beside `sqlite:`, `file:` and `memory`.
  public static func main(stores: [StoreKind] = []) async {
    await StoreKind.$more.withValue(stores) { await Zssp.main() }
  }

  /// Writes a line to standard error, as the tool does.
  public static func tell(_ text: String) { Terminal.error(text) }
}

struct Zssp: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "zssp",
    abstract: "Post-quantum, ratcheting datagram sessions between peers that know each other's keys.",
    discussion: """
      Exit codes: 0 done, 1 the protocol failed (no answer in time, rejected), 2 usage or configuration.
      """,
    subcommands: [Keygen.self, Pubkey.self, Otp.self, Listen.self, Connect.self, StoreCommand.self] + tunnel + [
      Demo.self, Simulate.self, Bench.self, Version.self,
    ])

  /// Where there are tunnels: with their trait, on Linux.
  private static var tunnel: [any ParsableCommand.Type] {
    #if Tunnel && os(Linux)
      [TunnelCommand.self]
    #else
      []
    #endif
  }

  /// Runs the command and turns errors into the exit codes above.
  static func main() async {
    // A pipe that nobody reads is an error of the write, and no reason to end without undoing anything.
    signal(SIGPIPE, SIG_IGN)
    // Whoever started this may have ignored it; then nothing could be said of the end of a child.
    signal(SIGCHLD, SIG_DFL)
    do {
      try Arguments.check()
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let failure as CommandFailure {
      Terminal.error(failure.description)
      Terminal.exit(failure.exitCode)
    } catch {
      let code = exitCode(for: error)
      guard code != .success else { exit(withError: error) }
      Terminal.error(fullMessage(for: error), prefix: "")
      Terminal.exit(2)
    }
  }
}

/// A command that could not do its job.
public enum CommandFailure: Error, CustomStringConvertible {
  /// What the user asked for cannot work: arguments, files, keys, addresses. Exit code 2.
  case usage(String)
  /// The system does not allow it now: a store is locked, a disk is full. Exit code 2, and 1 for a tunnel, which is tried again.
  case unavailable(String)
  /// The peer or the network did not do its part. Exit code 1.
  case failed(String)

  /// What to tell the user.
  public var description: String {
    switch self {
    case .usage(let message), .unavailable(let message), .failed(let message): message
    }
  }

  var exitCode: Int32 {
    switch self {
    case .usage, .unavailable: 2
    case .failed: 1
    }
  }
}
