// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ArgumentParser
  import Foundation
  import ZSSPSwiftCrypto
  import ZSSPTunnel

  struct TunnelInit: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "init",
      abstract: "Write keys and commented configuration files for two hosts.",
      discussion: "Take each .toml with its .pem to its host over a secure channel.")

    @Argument(help: "Name the two hosts, and their files: office home.")
    var hosts: [String]

    @Option(help: ArgumentHelp("Reach the first host at this address or name.", valueName: "host:port"))
    var endpoint = "192.0.2.1:\(TunnelTemplate.port)"

    @Option(help: ArgumentHelp("Write to this folder.", valueName: "folder"))
    var folder = "."

    @Flag(help: "Replace files that exist. Default: refuse.")
    var force = false

    func validate() throws {
      guard !folder.isEmpty else { throw ValidationError("--folder: is empty; . is where the command runs") }
      guard hosts.count == 2, hosts[0] != hosts[1] else {
        throw ValidationError("name two hosts: zssp tunnel init office home")
      }
      do throws(EndpointTextError) { _ = try PeerEndpoint(endpoint) } catch {
        throw ValidationError("--endpoint \(error)")
      }
      for host in hosts where !TunnelConfiguration.isInterfaceName(host) {
        throw ValidationError(
          "\(host): must be 1 to 15 letters, digits, - or _, because the device on the other host has this name")
      }
    }

    func run() throws {
      let keys = [StaticKey(), StaticKey()]
      let port = endpoint.split(separator: ":").last.map(String.init) ?? "\(TunnelTemplate.port)"
      var files: [(text: String, path: String)] = []
      for (index, host) in hosts.enumerated() {
        let text = TunnelTemplate.text(
          TunnelTemplate.Host(
            name: host, peer: hosts[1 - index], peerKey: keys[1 - index].publicKey.text, number: index + 1,
            listen: index == 0 ? port : nil,
            endpoint: index == 0 ? nil : endpoint))
        files += [(keys[index].pem, "\(folder)/\(host).pem"), (text, "\(folder)/\(host).toml")]
      }
      // All or none: a key without its configuration would block the next attempt.
      try SecretFile.write(files, replaces: force)
      for host in hosts { Terminal.output("\(folder)/\(host).toml") }
    }
  }

  /// Commented configuration files.
  enum TunnelTemplate {
    /// The suggested port. IANA has not assigned it, and no other program uses it by default. (4500
    /// belongs to IPsec, which many machines and routers use.)
    static let port = 20763

    /// The parts that differ between the two files.
    struct Host {
      let name: String
      let peer: String
      let peerKey: String
      let number: Int
      /// The port to listen on; nil for any.
      let listen: String?
      let endpoint: String?
    }

    static func text(_ host: Host) -> String {
      let endpoint = host.endpoint.map { "endpoint = \"\($0)\"" } ?? "# endpoint = \"\(host.peer).example.org:\(port)\""
      let listen = host.listen.map { "listen = \":\($0)\"" } ?? "# listen = \":\(port)\""
      let keepalive = host.endpoint == nil ? "# keepalive = 25" : "keepalive = 25"
      return """
        # The tunnel from \(host.name) to \(host.peer). Start it with: zssp tunnel up \(host.name).toml
        # Lines with # show defaults and examples. 'zssp tunnel check' explains the file.

        interface = "\(host.peer)"
        addresses = ["10.77.0.\(host.number)/24", "fd77::\(host.number)/64"]
        # Where to listen: ":PORT" is all IPv4 and IPv6 addresses. Default: any port.
        \(listen)
        private-key-file = "\(host.name).pem"

        # The store of ratchets. Default: memory, and ratchets are lost on exit.
        # store = "sqlite:/var/lib/zssp/\(host.peer).db"
        # opportunistic accepts a peer that has lost its ratchet, with a warning; persistent refuses it, and needs a store on both hosts.
        # mode = "opportunistic"
        # The KEM, the same on both hosts: kyber1024 (round 3 of Kyber), upstream, mlkem1024 (FIPS 203).
        # profile = "kyber1024"
        # Proof of work from strangers: off, auto (above a budget), always.
        # challenge = "auto"
        # The age of keys at which they are replaced.
        # rekey-after = "1h"
        # The largest packet in bytes.
        # mtu = 1420
        # The table for routes to the peers' allowed-ips: auto, main, off, or a number.
        # table = "auto"
        # Serve metrics for Prometheus to this host. Default: nowhere.
        # metrics = "127.0.0.1:9600"
        # The least important lines of the log: debug, info, notice, warning, error; and its format: text, json.
        # log-level = "info"
        # log-format = "text"
        # The user that the process becomes after setting everything up. Default: root.
        # user = "nobody"

        # Commands for the shell; %i is the device.
        # [hooks]
        # post-up = ["iptables -A FORWARD -i %i -j ACCEPT"]
        # pre-down = ["iptables -D FORWARD -i %i -j ACCEPT"]

        [[peer]]
        name = "\(host.peer)"
        public-key = "\(host.peerKey)"
        \(endpoint)
        # Packets to these prefixes go to the peer; packets from it must have a source in them.
        allowed-ips = ["10.77.0.\(3 - host.number)/32", "fd77::\(3 - host.number)/128"]
        # Send a probe after this many seconds without a packet, which keeps NAT mappings open. Default: never.
        \(keepalive)
        # The password of the first contact, for mode persistent; see 'zssp otp'.
        # one-time-password-file = "\(host.name)-\(host.peer).otp"

        """
    }
  }
#endif
