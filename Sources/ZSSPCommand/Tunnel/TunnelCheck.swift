// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ArgumentParser
  import Foundation
  import ZSSP
  import ZSSPSwiftCrypto
  import ZSSPTunnel

  struct TunnelCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "check", abstract: "Read a configuration file, and say what it means and what is wrong with it.")

    @Argument(help: "The configuration file.")
    var file: String

    func run() throws {
      let configuration = try TunnelFile.read(file)
      // The key and the passwords are read too: they are what is missing most often.
      let key = try KeyReader.privateKey(file: configuration.privateKeyFile)
      for password in configuration.peers.compactMap(\.oneTimePasswordFile) { _ = try OneTimePassword.read(password) }
      _ = try TunnelUp.endpoint(configuration)
      if let store = configuration.store { _ = try StoreLocation(store) }
      try TunnelStore.check(configuration)
      Terminal.output(TunnelExplanation.text(configuration, key.publicKey))
    }
  }

  /// A configuration in words.
  enum TunnelExplanation {
    static func text(_ configuration: TunnelConfiguration, _ key: PublicKey) -> String {
      var lines = [
        "The device \(configuration.interface) gets \(list(configuration.addresses)), with an MTU "
          + (configuration.mtu.map { "of \($0) bytes." } ?? "that fits the way to the peers."),
        "It listens on \(configuration.listen). Its public key is \(key.text).",
        "Ratchets are kept in \(configuration.store ?? "memory, and are lost at the end").",
        configuration.flags.contains(.initiatorDisallowsDowngrade)
          ? "A peer that has lost its ratchet is refused (persistent)."
          : "A peer that has lost its ratchet is reported, and taken (opportunistic).",
      ]
      if configuration.peers.isEmpty { lines.append("There are no peers yet: 'zssp tunnel set' adds some.") }
      for (index, peer) in configuration.peers.enumerated() {
        let place = peer.endpoint.map { "is at \($0)" } ?? "opens sessions itself, for it has no endpoint here"
        lines.append("\(peer.name ?? "Peer \(index + 1)") \(place). Behind it are \(list(peer.allowedIPs)).")
        if peer.allowedIPs.isEmpty {
          lines.append("  Without allowed-ips no packet goes to it, and none comes from it.")
        }
        if let keepalive = peer.keepalive { lines.append("  After \(keepalive) s of silence it is sent something.") }
        if peer.oneTimePasswordFile != nil { lines.append("  The first contact needs the one-time password.") }
      }
      if let busyPoll = configuration.busyPoll {
        lines.append(
          "For \(busyPoll) ms after traffic it looks for more and does not sleep, which takes processor time.")
      }
      if let user = configuration.user { lines.append("When all is set up the process becomes \(user).") }
      return lines.joined(separator: "\n")
    }

    private static func list(_ prefixes: [IPPrefix]) -> String {
      prefixes.isEmpty ? "no addresses" : prefixes.map(\.description).joined(separator: ", ")
    }
  }
#endif
