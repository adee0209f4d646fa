// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import Foundation
  import ZSSP
  import ZSSPFiles
  import ZSSPNIO
  import ZSSPProviders
  import ZSSPSwiftCrypto
  import ZSSPTunnel

  /// A configuration file: the tunnel's configuration, and the program's.
  struct TunnelFile: Sendable {
    /// The path that was given.
    let path: String
    /// The configuration of the tunnel.
    var tunnel: TunnelConfiguration
    /// The configuration of the program.
    let program: Program
    /// The line of each peer's key; nil where unknown.
    let keyLines: [Int?]
    /// A warning about the file itself; nil for none.
    let warning: String?

    /// The configuration of the program that runs a tunnel.
    struct Program: Sendable {
      var privateKeyFile = ""
      var store = StoreLocation.memory
      var storeKeyFile: String?
      var crypto = ProviderChoice.fastest
      var provider: any CryptoProvider = SwiftCryptoProvider()
      /// The least important level of log lines.
      var logLevel = LogLevel.info
      var logFormat = LogFormat.text
      /// The user that the tunnel becomes; nil for no change.
      var user: TunnelUser?
    }

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: The path of a file or a pipe.
    ///   - warns: False to leave ``warning`` to the caller, or to a process that reads the file as
    ///     well. The default is true.
    /// - Throws: ``CommandFailure/usage(_:)``, or ``CommandFailure/failed(_:)`` if the file names a
    ///   network device that does not exist now.
    static func read(_ path: String, warns: Bool = true) throws(CommandFailure) -> TunnelFile {
      let (text, warning) = try SecretFile.contents(path, kind: .configuration)
      if warns { SecretFile.warn(warning) }
      do throws(TunnelConfigurationError) {
        let (tunnel, program, lines) = try TunnelConfiguration.read(toml: text, file: path) { Program(&$0) }
        return TunnelFile(path: path, tunnel: tunnel, program: program, keyLines: lines, warning: warning)
      } catch {
        throw error.isOfSystem ? .failed("\(error)") : .usage("\(error)")
      }
    }

    /// Refuses a peer that has this side's own key.
    ///
    /// - Throws: ``CommandFailure/usage(_:)``.
    func checkPeers(besides own: PublicKey) throws(CommandFailure) {
      for (peer, line) in zip(tunnel.peers, keyLines) where peer.publicKey == own {
        throw .usage(
          "\(path)\(line.map { ":\($0)" } ?? ""): public-key: is the tunnel's own key, of private-key-file; "
            + "'zssp pubkey' prints the peer's on its host")
      }
    }

    /// Makes the endpoint's configuration. Reads the private key file.
    ///
    /// - Throws: ``CommandFailure/usage(_:)``.
    func endpoint() throws(CommandFailure) -> EndpointConfiguration {
      let key = try KeyReader.privateKey(file: program.privateKeyFile)
      try checkPeers(besides: key.publicKey)
      var settings = Settings()
      if let rekeyAfter = tunnel.rekeyAfter {
        settings.rekeyAfter = rekeyAfter
        // The default ratio of jitter to age.
        settings.rekeyJitter = rekeyAfter / 6
      }
      do {
        return try EndpointConfiguration(
          staticKey: key.agreementKey(for: program.provider), provider: program.provider, profile: tunnel.profile,
          flags: tunnel.flags, helloPolicy: tunnel.challenge, settings: settings)
      } catch {
        throw .usage("\(program.privateKeyFile): \(error)")
      }
    }
  }

  extension TunnelFile.Program {
    fileprivate init(_ reader: inout TableReader) {
      privateKeyFile = reader.path("private-key-file") ?? ""
      if privateKeyFile.isEmpty { reader.fail("private-key-file", "is missing; 'zssp keygen FILE' makes a key") }
      storeKeyFile = reader.path("store-key-file")
      readCrypto(&reader)
      logLevel = reader.choice("log-level", of: LogLevel.allCases.map { ($0.rawValue, $0) }) ?? logLevel
      logFormat = reader.choice("log-format", of: LogFormat.allCases.map { ($0.rawValue, $0) }) ?? logFormat
      if let text = reader.string("store") { readStore(text, with: reader) }
      if let name = reader.string("user") {
        do throws(TunnelError) { user = try TunnelUser(name) } catch { reader.fail("user", "\(error)") }
        if let user { checkStore(for: user, named: name, reader: reader) }
      }
      if let name = reader.string("status-group") {
        do throws(TunnelError) { _ = try TunnelGroup(name) } catch { reader.fail("status-group", "\(error)") }
      }
    }

    private mutating func readCrypto(_ reader: inout TableReader) {
      let choices = ProviderChoice.allCases.map { ($0.rawValue, $0) }
      crypto = reader.choice("crypto", of: choices) ?? crypto
      do throws(ProviderUnavailable) { provider = try crypto.makeProvider() } catch {
        reader.fail("crypto", "\"\(crypto.rawValue)\": \(error.reason)")
      }
    }

    private mutating func readStore(_ text: String, with reader: TableReader) {
      do throws(CommandFailure) { store = try StoreLocation(text, in: reader.resolve) } catch {
        let prefix = "--store "
        let message = error.description
        reader.fail("store", message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : message)
      }
    }

    /// Refuses a store that the user cannot write to: it would lose every ratchet at the first
    /// step.
    private func checkStore(for user: TunnelUser, named name: String, reader: TableReader) {
      guard let path = store.path else { return }
      let folder: String
      do { folder = try PathParts(path).folder } catch { return reader.fail("store", "\(error)") }
      if user.mayWrite(folder) == false {
        return reader.fail("store", "\(store): the user \"\(name)\" may not write in \(folder)")
      }
      // A database is opened again while the tunnel runs.
      guard case .sqlite = store, user.mayWrite(path) == false else { return }
      reader.fail(
        "store",
        FileManager.default.fileExists(atPath: path)
          ? "\(store): the user \"\(name)\" may not write to it"
          : "\(store): make it by a start without 'user', and give it to \"\(name)\" with chown")
    }
  }
#endif
