// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ArgumentParser
  import ZSSP
  import Foundation
  import ZSSPTunnel

  struct TunnelPeer: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "peer",
      abstract: "Change a peer of a running tunnel; other peers are not affected.",
      discussion: "The configuration file does not change: edit it too, or the next start undoes this.",
      subcommands: [Add.self, Remove.self, Enroll.self, Forget.self])

    /// The peer, and its tunnel.
    struct Arguments: ParsableArguments {
      @Argument(
        help: ArgumentHelp(
          "Name the peer, or give its public key in base64 or 98 hexadecimal digits.", valueName: "peer"))
      var peer: String

      @Option(help: "Name the tunnel's network device. Default: the only tunnel.")
      var interface: String?

      func name() throws(CommandFailure) -> String { try TunnelName.name(interface, option: "--interface") }
    }

    struct Add: ParsableCommand {
      static let configuration = CommandConfiguration(abstract: "Add a peer, by its public key.")

      @OptionGroup var arguments: Arguments
      @OptionGroup var values: TunnelPeerValues

      func run() throws {
        var change = values.change(of: arguments.peer)
        change.isNew = true
        guard case .done(let text) = try ask(.setPeer(change), of: arguments.name()) else { return }
        Terminal.output("peer \(text)")
      }
    }

    struct Remove: ParsableCommand {
      static let configuration = CommandConfiguration(abstract: "Remove a peer and end its session.")

      @OptionGroup var arguments: Arguments

      func run() throws {
        let request = ControlRequest.removePeer(publicKey: arguments.peer)
        guard case .done(let text) = try ask(request, of: arguments.name()) else { return }
        Terminal.output("peer \(text)")
      }
    }

    struct Enroll: ParsableCommand {
      static let configuration = CommandConfiguration(
        abstract: "Replace a peer's ratchet that no longer matches by a one-time password.",
        discussion: """
          The ratchet with the peer is replaced by a one-time password, which the other side needs too: give it the file there \
          over a secure channel. Without --otp-file a new password is made and printed.
          """)

      @OptionGroup var arguments: Arguments

      @Option(help: ArgumentHelp("Read the password from this file; see 'zssp otp'.", valueName: "file"))
      var otpFile: String?

      func run() throws {
        let password: String
        if let otpFile {
          password = try OneTimePassword.contents(of: otpFile).text
        } else {
          password = OneTimePassword.generate().text
        }
        let request = ControlRequest.enrollPeer(arguments.peer, password: password)
        guard case .done(let text) = try ask(request, of: arguments.name()) else { return }
        Terminal.note(text)
        // Printed last: a password that was not stored is useless.
        if otpFile == nil { Terminal.output(password) }
      }
    }

    struct Forget: ParsableCommand {
      static let configuration = CommandConfiguration(
        abstract: "Erase the ratchet of a peer and end its session.",
        discussion: "In persistent mode the peer then needs 'zssp tunnel peer enroll' on both sides.")

      @OptionGroup var arguments: Arguments

      func run() throws {
        guard case .done(let text) = try ask(.forgetPeer(arguments.peer), of: arguments.name()) else { return }
        Terminal.output(text)
      }
    }
  }

  /// The settings of a peer that can be changed while the tunnel runs.
  struct TunnelPeerValues: ParsableArguments {
    @Option(help: "Give the peer this name. Default: none.")
    var name: String?

    @Option(
      help: ArgumentHelp(
        "Reach the peer at this address or name. Default: the peer opens sessions.", valueName: "host:port"))
    var endpoint: String?

    @Option(
      help: ArgumentHelp(
        "Route these prefixes to the peer: 10.0.0.0/8,2001:db8::/32. Default: none.", valueName: "prefixes"))
    var allowedIps: String?

    @Option(
      parsing: .unconditional,
      help: ArgumentHelp(
        "Send a keepalive after this many seconds of silence, 0 to 65535; 0 is never. Default: never.",
        valueName: "seconds"))
    var keepalive: Int?

    /// True if no option is given.
    var isEmpty: Bool { name == nil && endpoint == nil && allowedIps == nil && keepalive == nil }

    func change(of peer: String) -> ControlRequest.PeerChange {
      var change = ControlRequest.PeerChange(publicKey: peer)
      change.name = name
      change.endpoint = endpoint
      change.keepalive = keepalive
      change.allowedIPs = allowedIps?.split(separator: ",").map(String.init)
      return change
    }
  }

  struct TunnelSet: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set", abstract: "Add, change or remove a peer of a running tunnel.",
      discussion: "The configuration file does not change: edit it too, or the next start undoes this.")

    @OptionGroup var tunnel: TunnelName

    @Option(help: ArgumentHelp("Change this public key, in base64 or 98 hexadecimal digits.", valueName: "key"))
    var peer: String

    @OptionGroup var values: TunnelPeerValues

    @Flag(help: "Remove the peer. Default: off.")
    var remove = false

    func validate() throws {
      if remove, !values.isEmpty { throw ValidationError("--remove goes with --peer alone") }
    }

    func run() throws {
      let request =
        remove ? ControlRequest.removePeer(publicKey: peer) : .setPeer(values.change(of: peer))
      guard case .done(let text) = try ask(request, of: tunnel.name()) else { return }
      Terminal.output("peer \(text)")
    }
  }
#endif
