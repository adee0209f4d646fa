// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ArgumentParser
  import Foundation
  import ZSSPTunnel

  struct TunnelShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show how a tunnel stands.")

    @OptionGroup var tunnel: TunnelName

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(help: "Print it again every second until interrupted.")
    var watch = false

    func run() async throws {
      let name = try tunnel.name()
      repeat {
        guard case .report(let report) = try ask(.show, of: name) else { return }
        if json { try Terminal.output(json: report) } else { Terminal.output(Self.text(report)) }
        if watch { try await Task.sleep(for: .seconds(1)) }
      } while watch
    }

    /// The report for people.
    static func text(_ report: TunnelReport) -> String {
      var lines = [
        "interface \(report.interface), MTU \(report.mtu), listening on \(report.listen)",
        "  public key \(report.publicKey)",
      ]
      for peer in report.peers {
        lines.append("peer \(peer.name.map { Terminal.printable($0.utf8) } ?? peer.publicKey): \(peer.state)")
        if peer.name != nil { lines.append("  public key \(peer.publicKey)") }
        if let endpoint = peer.endpoint { lines.append("  endpoint \(endpoint)") }
        lines.append("  allowed IPs \(peer.allowedIPs.joined(separator: ", "))")
        lines.append("  sent \(bytes(peer.bytesSent)), received \(bytes(peer.bytesReceived))")
        if let handshake = peer.lastHandshakeSeconds {
          lines.append("  last handshake \(seconds(handshake)) ago, ratchet length \(peer.ratchetLength)")
        }
        if let received = peer.lastReceivedSeconds { lines.append("  last heard of \(seconds(received)) ago") }
        if let latency = peer.latencyMilliseconds { lines.append(String(format: "  latency %.2f ms", latency)) }
        if peer.waiting > 0 { lines.append("  \(peer.waiting) packets wait for a session") }
      }
      let drops = [
        ("dropped", report.drops), ("dropped by the protocol", report.protocolDrops),
        ("dropped by the transport", report.transportDrops), ("dropped by the system", report.systemDrops),
      ]
      for (who, counts) in drops {
        for (reason, count) in counts.sorted(by: { $0.key < $1.key }) { lines.append("\(who) \(reason): \(count)") }
      }
      if report.sendErrors > 0 { lines.append("datagrams not sent: \(report.sendErrors)") }
      return lines.joined(separator: "\n")
    }

    private static func bytes(_ count: UInt64) -> String {
      let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
      var (value, unit) = (Double(count), 0)
      while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
      return unit == 0 ? "\(count) B" : String(format: "%.2f %@", value, units[unit])
    }

    private static func seconds(_ value: Double) -> String {
      value < 120 ? String(format: "%.1f s", value) : String(format: "%.0f min", value / 60)
    }
  }

  struct TunnelSet: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set", abstract: "Add, change or remove a peer of a running tunnel.",
      discussion: "It is for the running tunnel; the configuration file stays as it is.")

    @OptionGroup var tunnel: TunnelName

    @Option(help: ArgumentHelp("The peer's public key, in base64 or 98 hexadecimal digits.", valueName: "key"))
    var peer: String

    @Option(help: "What to call the peer.")
    var name: String?

    @Option(help: ArgumentHelp("Where the peer listens.", valueName: "host:port"))
    var endpoint: String?

    @Option(help: ArgumentHelp("The addresses behind the peer: 10.0.0.0/8,2001:db8::/32.", valueName: "prefixes"))
    var allowedIps: String?

    @Option(help: ArgumentHelp("Send something after so much silence; 0 for never.", valueName: "seconds"))
    var keepalive: Int?

    @Flag(help: "Remove the peer.")
    var remove = false

    func validate() throws {
      if remove, name != nil || endpoint != nil || allowedIps != nil || keepalive != nil {
        throw ValidationError("--remove goes with --peer alone")
      }
    }

    func run() throws {
      var change = ControlRequest.PeerChange(publicKey: peer)
      (change.name, change.endpoint, change.keepalive) = (name, endpoint, keepalive)
      change.allowedIPs = allowedIps?.split(separator: ",").map(String.init)
      let request = remove ? ControlRequest.removePeer(publicKey: peer) : .setPeer(change)
      guard case .done(let text) = try ask(request, of: tunnel.name()) else { return }
      Terminal.output("peer \(text)")
    }
  }
#endif
