// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ArgumentParser
  import Foundation
  import ZSSP
  import ZSSPNIO
  import ZSSPProviders
  import ZSSPSwiftCrypto
  import ZSSPTunnel

  struct TunnelUp: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "up",
      abstract: "Start a tunnel.",
      discussion: """
        Returns when the tunnel is up, and leaves it in the background, unless --foreground is given. Needs root, or \
        CAP_NET_ADMIN and a folder /run/zssp.
        """)

    @Argument(help: "The configuration file; see 'zssp tunnel init'.")
    var file: String

    @Flag(help: "Stay until interrupted, and say on standard error what happens.")
    var foreground = false

    @Flag(help: .hidden)
    var background = false

    func run() async throws {
      let configuration = try TunnelFile.read(file)
      try TunnelStore.check(configuration)
      guard foreground else { return try await Background.start(file, interface: configuration.interface) }
      let endpoint = try Self.endpoint(configuration)
      let store = try await Self.store(configuration)
      try await store.whileOpen {
        let enrolled = try await Self.enroll(configuration, store)
        _ = try await Interruption.cancelling(after: nil) {
          do throws(TunnelError) {
            let tunnel = try await Tunnel.start(
              enrolled, endpoint: endpoint, store: store, keepsLog: background, log: Terminal.note)
            Terminal.note("\(tunnel.interface) is up")
            // Whoever started this has read enough, and removes what it was written to.
            tunnel.logFile?.takeOver()
            try await tunnel.run()
            Terminal.note("\(tunnel.interface) is down")
          } catch {
            throw error.commandFailure
          }
        }
      }
    }

    /// The static key, the provider and the protocol's settings.
    static func endpoint(_ configuration: TunnelConfiguration) throws -> EndpointConfiguration {
      let key = try KeyReader.privateKey(file: configuration.privateKeyFile)
      let name = configuration.crypto ?? ProviderChoice.fastest.rawValue
      guard let choice = ProviderChoice(rawValue: name) else {
        throw CommandFailure.usage(
          "crypto \"\(name)\": not one of \(ProviderChoice.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      let provider: any CryptoProvider
      do { provider = try choice.makeProvider() } catch {
        throw CommandFailure.usage("crypto \"\(name)\": \(error.reason)")
      }
      var settings = Settings()
      if let rekeyAfter = configuration.rekeyAfter {
        settings.rekeyAfter = rekeyAfter
        // The same share of the age as by default.
        settings.rekeyJitter = rekeyAfter / 6
      }
      return try EndpointConfiguration(
        staticKey: key.agreementKey(for: provider), provider: provider, profile: configuration.profile,
        flags: configuration.flags, helloPolicy: configuration.challenge, settings: settings)
    }

    private static func store(
      _ configuration: TunnelConfiguration
    ) async throws(CommandFailure) -> any KeptRatchets {
      let location = if let store = configuration.store { try StoreLocation(store) } else { StoreLocation.memory }
      if location == .memory, configuration.flags.contains(.responderDisallowsDowngrade) {
        Terminal.note("no store to keep ratchets: when this ends, peers in persistent mode cannot come back")
      }
      let key: Secret? = if let file = configuration.storeKeyFile { try StoreKeyOption.read(file: file) } else { nil }
      return try await location.open(key: key)
    }

    /// Stores the states that one-time passwords stand for where there is no ratchet yet; until it is used whoever opens insists on it.
    private static func enroll(
      _ configuration: TunnelConfiguration, _ store: any RatchetStore
    ) async throws(CommandFailure) -> TunnelConfiguration {
      var configuration = configuration
      for index in configuration.peers.indices {
        guard let file = configuration.peers[index].oneTimePasswordFile else { continue }
        let (peer, state) = (configuration.peers[index].publicKey, try OneTimePassword.read(file))
        switch await store.answer(.compareAndSwap(peer: peer, expected: .empty, new: RatchetPair(state))) {
        case .swapped: break
        case .notSwapped:
          // A peer that was met before has a newer ratchet; the password has done its work.
          guard case .pair(let held) = await store.answer(.load(peer: peer)), held.state1 == state else { continue }
        default: throw .usage("store: the one-time password \(file) could not be stored")
        }
        let flags = configuration.peers[index].flags ?? configuration.flags
        configuration.peers[index].flags = flags.union(.initiatorDisallowsDowngrade)
      }
      return configuration
    }
  }

  /// A tunnel that goes on when the command has ended.
  private enum Background {
    static func start(_ file: String, interface: String) async throws {
      let process = Process()
      process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
      process.arguments = ["tunnel", "up", "--foreground", "--background", file]
      let log = "\(NSTemporaryDirectory())zssp-\(interface)-\(UUID().uuidString).log"
      guard FileManager.default.createFile(atPath: log, contents: nil, attributes: [.posixPermissions: 0o600]),
        let output = FileHandle(forWritingAtPath: log)
      else { throw CommandFailure.usage("cannot write \(log)") }
      defer { unlink(log) }
      (process.standardInput, process.standardOutput, process.standardError) = (FileHandle.nullDevice, output, output)
      try process.run()
      while process.isRunning {
        // What it has said shows when everything is set up.
        if case let text = try said(log), text.contains("\(interface) is up\n") {
          return Terminal.note(text.trimmingCharacters(in: .newlines))
        }
        try await Task.sleep(for: .milliseconds(20))
      }
      let text = try said(log).trimmingCharacters(in: .newlines)
      Terminal.error(text.isEmpty ? "the tunnel did not start, and did not say why" : text, prefix: "")
      Terminal.exit(process.terminationStatus)
    }

    private static func said(_ log: String) throws(CommandFailure) -> String {
      do { return String(decoding: try Data(contentsOf: URL(filePath: log)), as: UTF8.self) } catch {
        throw .failed("\(log): \(error.localizedDescription)")
      }
    }
  }
#endif
