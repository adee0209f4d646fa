// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// The command-line tool `zssp`, for executables that run it as it is, or with more kinds of
/// stores.
public enum CommandLineTool {
  /// Runs the command that the process's arguments name, and ends the process. This must be the
  /// first that the program does.
  ///
  /// - Parameter stores: As of ``main(stores:)``.
  public static func run(stores: [StoreKind] = []) -> Never {
    StandardStreams.fill()
    Task {
      await main(stores: stores)
      Terminal.exit(0)
    }
    dispatchMain()
  }

  /// Runs the command that the process's arguments name. If it fails, ends the process with exit
  /// code 1 or 2.
  ///
  /// Programs use ``run(stores:)``: before an asynchronous `main` begins, the system may have given
  /// the number of a closed standard output to something else.
  ///
  /// - Parameter stores: The kinds of stores that `--store` and the store commands support in
  ///   addition to `sqlite:`, `file:` and `memory`.
  public static func main(stores: [StoreKind] = []) async {
    await StoreKind.$more.withValue(stores) { await Zssp.main() }
  }

  /// Writes a line to standard error, with the tool's prefix.
  public static func tell(_ text: String) { Terminal.error(text) }
}

struct Zssp: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "zssp",
    abstract: "Post-quantum, ratcheting datagram sessions between peers that know each other's keys.",
    discussion: """
      Exit codes: 0 done, 1 the protocol failed (no answer in time, rejected) or standard output cannot be written, \
      2 usage or configuration.
      """,
    subcommands: [Keygen.self, Pubkey.self, Otp.self, Listen.self, Connect.self, StoreCommand.self] + tunnel + [
      Ping.self, Decode.self, Demo.self, Simulate.self, Bench.self, Version.self,
    ])

  /// The tunnel commands, with their trait on Linux.
  private static var tunnel: [any ParsableCommand.Type] {
    #if Tunnel && os(Linux)
      [TunnelCommand.self]
    #else
      []
    #endif
  }

  /// Runs the command, and turns errors into exit codes.
  static func main() async {
    // A closed pipe must be an error of the write. A signal would end the process without undoing
    // anything.
    signal(SIGPIPE, SIG_IGN)
    // The parent may have ignored this signal; then the end of a child could not be observed.
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
      let message = fullMessage(for: error)
      guard code != .success else {
        // Help, or a script for the completion of a shell.
        if !message.isEmpty { Terminal.data(message) }
        Terminal.exit(0)
      }
      Terminal.error(message, prefix: "")
      Terminal.exit(2)
    }
  }
}

/// The failure of a command.
public enum CommandFailure: Error, CustomStringConvertible {
  /// The request cannot work: arguments, files, keys, addresses. Exit code 2.
  case usage(String)
  /// The system does not permit it now: a store is locked, a disk is full. Exit code 2, but 1 for a
  /// tunnel, which is restarted.
  case unavailable(String)
  /// The peer or the network failed. Exit code 1.
  case failed(String)

  /// The message for the user.
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
