// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ArgumentParser
  import Foundation
  import ZSSP
  import ZSSPFiles
  import ZSSPNIO
  import ZSSPTunnel

  struct TunnelUp: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "up",
      abstract: "Start a tunnel.",
      discussion: """
        Returns when the tunnel is up, and leaves it in the background, unless --foreground is given. Needs root, or \
        CAP_NET_ADMIN and a folder /run/zssp, or a device and a folder that an administrator has prepared.
        """)

    @Argument(help: "Read this configuration file; see 'zssp tunnel init'.")
    var file: String

    @Flag(help: "Stay until interrupted, and log to standard error. Default: return when the tunnel is up.")
    var foreground = false

    @OptionGroup var trace: TraceOption

    @OptionGroup var keyLog: KeyLogOption

    @OptionGroup var logging: LogOptions

    @Flag(help: .hidden)
    var background = false

    func run() async throws {
      let readiness = background ? Readiness() : nil
      if foreground, let log = logging.log { Terminal.use(log) }
      // The log is known only when the file is read.
      var file = try TunnelFile.read(file, warns: false)
      try file.checkNotRunning()
      guard foreground else {
        try file.checkReadableTwice()
        return try Background.start(file, trace: trace.trace, keyLog: keyLog.keyLog, logging: logging)
      }
      let log = TunnelCommandLog(file.program, logging)
      Terminal.use(log.log)
      // The command that starts a background process leaves the warning to it.
      SecretFile.warn(file.warning)
      if let busyPoll = file.tunnel.busyPoll {
        EpollEventLoopGroup.singleton.busyPolling = .nanoseconds(busyPoll.nanoseconds)
      }
      // From here on, SIGHUP must not end the process. Before the tunnel is up it has nothing to
      // reload.
      let hangups = await Interruption.signals(SIGHUP)
      var configuration = try file.endpoint()
      let store: any KeptRatchets
      do throws(CommandFailure) { store = try await Self.store(file) } catch { throw error.ofTunnel }
      try await store.whileOpen {
        // After the store, which refuses while another process has it open.
        let traceFile = try trace.apply(to: &configuration, title: "zssp tunnel up \(file.path)")
        try keyLog.apply(to: &configuration)
        let endpoint = configuration
        try await file.enroll(in: store)
        let running = file
        _ = try await Interruption.cancelling(after: nil) {
          do throws(TunnelError) {
            try await Self.run(
              running, endpoint: endpoint, store: store, log: log, hangups: hangups, readiness: readiness)
          } catch {
            throw error.commandFailure
          }
        }
        await traceFile?.flush()
      }
    }

    /// Starts the tunnel, and runs it to its end.
    ///
    /// - Throws: ``TunnelError``.
    private static func run(
      _ file: TunnelFile, endpoint: EndpointConfiguration, store: any KeptRatchets, log: TunnelCommandLog,
      hangups: AsyncStream<Void>, readiness: Readiness?
    ) async throws(TunnelError) {
      let reloader: Tunnel.Reloader = { tunnel throws(TunnelError) in
        try await file.reload(tunnel, store: store, log: log)
      }
      let tunnel = try await Tunnel.start(
        file.tunnel, endpoint: endpoint, store: store, keepsLog: readiness != nil, reloader: reloader,
        logger: log.log.logger)
      Terminal.note("\(tunnel.interface) is up")
      // The parent process does not read further output.
      if let file = tunnel.logFile {
        file.takeOver()
        log.log.becomesFile { file.bound() }
      }
      readiness?.report()
      let reloading = Task {
        for await _ in hangups {
          do throws(TunnelError) { Terminal.note("reload: \(try await reloader(tunnel))") } catch {
            log.log.write(.error, "reload: \(error)")
          }
        }
      }
      defer { reloading.cancel() }
      try await tunnel.run()
      Terminal.note("\(tunnel.interface) is down")
    }

    private static func store(_ file: TunnelFile) async throws(CommandFailure) -> any KeptRatchets {
      let location = file.program.store
      if location == .memory, file.tunnel.flags.contains(.responderDisallowsDowngrade) {
        Terminal.warning("no store to keep ratchets: when this ends, peers in persistent mode cannot come back")
      }
      let key: Secret? =
        if let file = file.program.storeKeyFile { try StoreKeyOption.read(file: file) } else { nil }
      // A store may belong to the user that the tunnel becomes.
      return try await location.open(key: key, owner: file.program.user?.user)
    }
  }

  /// The log of a tunnel, as the options and the file want it. Options count more.
  struct TunnelCommandLog: Sendable {
    let log: CommandLog
    private let level: LogLevel?
    private let format: LogFormat?

    /// Makes the log of a tunnel that starts.
    init(_ program: TunnelFile.Program, _ options: LogOptions) {
      level = options.logLevel
      format = options.logFormat
      log = CommandLog(level: level ?? program.logLevel, format: format ?? program.logFormat)
    }

    /// Applies a file that was read again.
    ///
    /// - Returns: True if that changed the level or the format.
    func apply(_ program: TunnelFile.Program) -> Bool {
      let wanted = (level: level ?? program.logLevel, format: format ?? program.logFormat)
      guard wanted.level != log.level || wanted.format != log.format else { return false }
      log.change(level: wanted.level, format: wanted.format)
      return true
    }
  }

  extension TunnelFile {
    /// Refuses a tunnel that is running, before anything of it is opened.
    ///
    /// - Throws: ``CommandFailure/failed(_:)``.
    func checkNotRunning() throws(CommandFailure) {
      let name = tunnel.interface
      guard Tunnel.isRunning(name) else { return }
      throw .failed(
        "\(name): this tunnel is running already; 'zssp tunnel reload \(name)' applies changes of its file, "
          + "'zssp tunnel down \(name)' ends it")
    }

    /// Stores the states derived from one-time passwords for peers without a ratchet. Until its
    /// password is used, sessions with such a peer are opened with π2: this side requires the
    /// password.
    ///
    /// - Throws: ``CommandFailure``.
    mutating func enroll(in store: any RatchetStore) async throws(CommandFailure) {
      for index in tunnel.peers.indices {
        guard let file = tunnel.peers[index].oneTimePasswordFile else { continue }
        let peer = tunnel.peers[index].publicKey
        let state = try OneTimePassword.read(file)
        switch await store.answer(.compareAndSwap(peer: peer, expected: .empty, new: RatchetPair(state))) {
        case .swapped: break
        case .notSwapped:
          // A known peer has a newer ratchet, and its password was used.
          guard case .pair(let held, _) = await store.answer(.load(peer: peer)), held.state1 == state else { continue }
        default: throw .failed("\(program.store): the one-time password \(file) could not be stored")
        }
        let flags = tunnel.peers[index].flags ?? tunnel.flags
        // [RAT-11]
        tunnel.peers[index].flags = flags.union(.initiatorDisallowsDowngrade)
      }
    }
  }
#endif
