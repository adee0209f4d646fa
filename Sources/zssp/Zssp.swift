// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// `zssp`, the command-line tool.
@main
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
    do {
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
enum CommandFailure: Error, CustomStringConvertible {
  /// What the user asked for cannot work: arguments, files, keys, addresses. Exit code 2.
  case usage(String)
  /// The peer or the network did not do its part. Exit code 1.
  case failed(String)

  var description: String {
    switch self {
    case .usage(let message), .failed(let message): message
    }
  }

  var exitCode: Int32 {
    switch self {
    case .usage: 2
    case .failed: 1
    }
  }
}
