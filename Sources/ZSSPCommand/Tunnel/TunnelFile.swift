// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import Foundation
  import ZSSP
  import ZSSPFiles
  import ZSSPNIO
  import ZSSPProviders
  import ZSSPSwiftCrypto
  import ZSSPTunnel

  /// A configuration file: the tunnel, and what the program needs to run it.
  struct TunnelFile: Sendable {
    /// The path that was given.
    let path: String
    /// The configuration of the tunnel.
    var tunnel: TunnelConfiguration
    /// What the program needs.
    let program: Program

    /// What the program needs to run a tunnel.
    struct Program: Sendable {
      var privateKeyFile = ""
      var store = StoreLocation.memory
      var storeKeyFile: String?
      var crypto = ProviderChoice.fastest
      var provider: any CryptoProvider = SwiftCryptoProvider()
      /// The user that the tunnel becomes; nil if it stays who it is.
      var user: TunnelUser?
    }

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: the file, or a pipe.
    ///   - warns: whether to warn of what others can read. Another process that reads it as well may do so.
    static func read(_ path: String, warns: Bool = true) throws(CommandFailure) -> TunnelFile {
      let text = try SecretFile.read(path, .configuration, warns: warns)
      do throws(TunnelConfigurationError) {
        let (tunnel, program) = try TunnelConfiguration.read(toml: text, file: path) { reader in Program(&reader) }
        return TunnelFile(path: path, tunnel: tunnel, program: program)
      } catch {
        throw .usage("\(error)")
      }
    }

    /// Reads the files that the configuration names: the static key, the key of the store, and the one-time passwords.
    func endpoint() throws(CommandFailure) -> EndpointConfiguration {
      let key = try KeyReader.privateKey(file: program.privateKeyFile)
      var settings = Settings()
      if let rekeyAfter = tunnel.rekeyAfter {
        settings.rekeyAfter = rekeyAfter
        // The same share of the age as by default.
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
      if let text = reader.string("store") { readStore(text, reader) }
      if let name = reader.string("user") {
        do throws(TunnelError) { user = try TunnelUser(name) } catch { reader.fail("user", "\(error)") }
        if let user { checkStore(user, name, reader) }
      }
      if let name = reader.string("status-group") {
        do throws(TunnelError) { _ = try TunnelGroup(name) } catch { reader.fail("status-group", "\(error)") }
      }
    }

    private mutating func readCrypto(_ reader: inout TableReader) {
      let choices = ProviderChoice.allCases.map { ($0.rawValue, $0) }
      crypto = reader.choice("crypto", choices) ?? crypto
      do throws(ProviderUnavailable) { provider = try crypto.makeProvider() } catch {
        reader.fail("crypto", "\"\(crypto.rawValue)\": \(error.reason)")
      }
    }

    private mutating func readStore(_ text: String, _ reader: TableReader) {
      do throws(CommandFailure) { store = try StoreLocation(text, in: reader.resolve) } catch {
        let prefix = "--store "
        let message = error.description
        reader.fail("store", message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : message)
      }
    }

    /// Refuses a store that the user could not write to: every ratchet would be lost at its first step.
    private func checkStore(_ user: TunnelUser, _ name: String, _ reader: TableReader) {
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
