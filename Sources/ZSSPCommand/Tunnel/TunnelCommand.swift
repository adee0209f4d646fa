// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ArgumentParser
  import ZSSPTunnel

  struct TunnelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "tunnel",
      abstract: "Run a private network between machines: IP packets of a network device travel in sessions.",
      subcommands: [
        TunnelUp.self, TunnelCheck.self, TunnelInit.self, TunnelImport.self, TunnelShow.self, TunnelReload.self,
        TunnelPeer.self, TunnelSet.self, TunnelRekey.self, TunnelDown.self,
      ])
  }

  /// The argument that names the tunnel.
  struct TunnelName: ParsableArguments {
    @Argument(help: "Name the tunnel's network device. Default: the only tunnel.")
    var interface: String?

    func name() throws(CommandFailure) -> String { try Self.name(interface) }

    /// Returns the given name, or that of the only tunnel.
    ///
    /// - Parameters:
    ///   - interface: The name; nil if none was given.
    ///   - option: The option that gives it; nil for an argument.
    /// - Throws: ``CommandFailure/usage(_:)``.
    static func name(_ interface: String?, option: String? = nil) throws(CommandFailure) -> String {
      if let interface {
        guard TunnelConfiguration.isInterfaceName(interface) else {
          throw .usage("\(interface): not the name of a network device")
        }
        return interface
      }
      return try only(of: ControlClient.interfaces, option: option)
    }

    /// Returns the only name of a list.
    ///
    /// - Throws: ``CommandFailure/usage(_:)``, which says how to name one of several.
    static func only(of running: [String], option: String?) throws(CommandFailure) -> String {
      guard let only = running.first else { throw .usage("no tunnel is running here, or it is another user's") }
      guard running.count == 1 else {
        let way = option.map { "name one with '\($0) NAME'" } ?? "add the name of one to the command"
        throw .usage("there are several tunnels; \(way): \(running.joined(separator: ", "))")
      }
      return only
    }
  }

  extension TunnelError {
    /// The command's failure. Errors in the file or the arguments have exit code 2; errors of the
    /// system, which may pass, have 1.
    var commandFailure: CommandFailure {
      switch self {
      // The address may be assigned to the machine later.
      case .endpoint(.bindFailed), .endpoint(.open): .failed("\(self)")
      case .endpoint(let error): error.commandFailure
      case .hookFailed, .setUp, .deviceFailed, .inUse, .incomplete: .failed("\(self)")
      case .notRunning, .refused: .usage("\(self)")
      }
    }
  }

  extension CommandFailure {
    /// The failure of a tunnel, which a service manager may restart: what may pass has exit code 1.
    /// Options are named as the keys of the file.
    var ofTunnel: CommandFailure {
      switch self {
      case .unavailable(let message), .failed(let message): .failed(Self.withKeys(message))
      case .usage(let message): .usage(Self.withKeys(message))
      }
    }

    private static func withKeys(_ message: String) -> String {
      message.hasPrefix("--store") ? String(message.dropFirst(2)) : message
    }
  }

  /// Sends a request to a tunnel, with the errors of a command.
  ///
  /// - Throws: ``CommandFailure``.
  func ask(_ request: ControlRequest, of interface: String) throws(CommandFailure) -> ControlResponse {
    let response: ControlResponse
    do { response = try ControlClient.ask(request, of: interface) } catch { throw error.commandFailure }
    switch response {
    case .refused(let reason): throw .usage("\(interface): \(reason)")
    case .failed(let reason): throw .failed("\(interface): \(reason)")
    case .done, .report, .metrics: return response
    }
  }

  struct TunnelRekey: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "rekey", abstract: "Replace the keys of a tunnel's sessions now.")

    @OptionGroup var tunnel: TunnelName

    @Option(help: ArgumentHelp("Replace only those of this peer's session. Default: all peers.", valueName: "key"))
    var peer: String?

    func run() throws {
      guard case .done(let text) = try ask(.rekey(publicKey: peer), of: tunnel.name()) else { return }
      Terminal.output("re-keying \(text)")
    }
  }

  struct TunnelReload: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "reload",
      abstract: "Apply the changes of a running tunnel's configuration file.",
      discussion: """
        Peers, addresses, routes and hooks are changed; sessions of peers that stay go on. What needs a restart is named. \
        SIGHUP does the same.
        """)

    @OptionGroup var tunnel: TunnelName

    func run() throws {
      guard case .done(let text) = try ask(.reload, of: tunnel.name()) else { return }
      Terminal.output(text)
    }
  }

  struct TunnelDown: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "down", abstract: "End a tunnel, and undo everything that it set up.")

    @OptionGroup var tunnel: TunnelName

    func run() async throws {
      let name = try tunnel.name()
      _ = try ask(.down, of: name)
      // The tunnel is down when nothing responds any more.
      for _ in 0..<600 {
        guard ControlClient.isRunning(name) else { return }
        try await Task.sleep(for: .milliseconds(50))
      }
      throw CommandFailure.failed("\(name): is not down after 30 seconds; its log says why")
    }
  }
#endif
