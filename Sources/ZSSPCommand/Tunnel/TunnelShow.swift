// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ArgumentParser
  import Foundation
  import ZSSPTunnel

  struct TunnelShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show the status of a tunnel.")

    @OptionGroup var tunnel: TunnelName

    @Flag(help: "Print one JSON object. Default: off.")
    var json = false

    @Flag(help: "Print it again every second until interrupted. Default: off.")
    var watch = false

    @Flag(
      help: ArgumentHelp(
        "Print metrics in the text format of Prometheus, for the textfile collector of node_exporter. Default: off."))
    var openmetrics = false

    func validate() throws {
      guard !openmetrics || !json && !watch else {
        throw ValidationError("--openmetrics: goes with neither --json nor --watch")
      }
    }

    func run() async throws {
      let name = try tunnel.name()
      if openmetrics {
        guard case .metrics(let text) = try ask(.metrics(.prometheus), of: name) else { return }
        return Terminal.data(String(text.dropLast()))
      }
      repeat {
        guard case .report(let report) = try ask(.show, of: name) else { return }
        if json { try Terminal.output(json: report) } else { Terminal.output(Self.text(report)) }
        if watch { try await Task.sleep(for: .seconds(1)) }
      } while watch
    }

    /// Returns the report as text.
    static func text(_ report: TunnelReport) -> String {
      var lines = [
        "interface \(report.interface), MTU \(report.mtu), listening on \(report.listen)",
        "  public key \(report.publicKey)",
      ]
      for peer in report.peers {
        lines.append("peer \(peer.name.map { Terminal.printable($0.utf8) } ?? peer.publicKey): \(state(peer))")
        if peer.name != nil { lines.append("  public key \(peer.publicKey)") }
        if let endpoint = peer.endpoint { lines.append("  endpoint \(endpoint)") }
        lines.append("  allowed IPs \(peer.allowedIPs.joined(separator: ", "))")
        lines.append("  sent \(bytes(peer.bytesSent)), received \(bytes(peer.bytesReceived))")
        if let handshake = peer.lastHandshakeSeconds {
          lines.append("  last handshake \(seconds(handshake)) ago, ratchet length \(peer.ratchetLength)")
        }
        if let received = peer.lastReceivedSeconds { lines.append("  last heard of \(seconds(received)) ago") }
        if let latency = peer.latencyMilliseconds { lines.append(String(format: "  latency %.2f ms", latency)) }
        if let size = peer.pathMTU { lines.append("  path MTU \(size)") }
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

    private static func state(_ peer: TunnelReport.Peer) -> String {
      switch peer.state {
      case .up, .opening, .idle: peer.state.rawValue
      case .silent: "silent" + (peer.lastReceivedSeconds.map { " for \(seconds($0))" } ?? "")
      case .unreachable: "unreachable (\(Terminal.printable((peer.reason ?? "unknown").utf8)))"
      }
    }

    private static func bytes(_ count: UInt64) -> String {
      let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
      var value = Double(count)
      var unit = 0
      while value >= 1024, unit < units.count - 1 {
        value /= 1024
        unit += 1
      }
      return unit == 0 ? "\(count) B" : String(format: "%.2f %@", value, units[unit])
    }

    private static func seconds(_ value: Double) -> String {
      value < 120 ? String(format: "%.1f s", value) : String(format: "%.0f min", value / 60)
    }
  }
#endif
