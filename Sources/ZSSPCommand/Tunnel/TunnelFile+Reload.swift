// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ZSSPFiles
  import ZSSPTunnel

  extension TunnelFile {
    /// Reads the file again, and applies its changes to the tunnel that was started from it.
    ///
    /// - Returns: What was changed, and what needs a restart, as text.
    /// - Throws: ``TunnelError/refused(_:)``, or ``TunnelError/incomplete(_:)`` if the system refused
    ///   changes.
    func reload(_ tunnel: Tunnel, store: any KeptRatchets) async throws(TunnelError) -> String {
      guard PrivateFile.start(of: path, count: 1) != nil else { throw .refused(unreadable) }
      do throws(CommandFailure) {
        var next = try TunnelFile.read(path)
        try await next.enroll(in: store)
        let result = try await Self.apply(next.tunnel, to: tunnel)
        let text = result.text(besides: program.changes(to: next.program))
        guard result.failures.isEmpty else { throw .failed(text) }
        return text
      } catch {
        throw error.exitCode == 1 ? .incomplete("\(error)") : .refused("\(error)")
      }
    }

    private static func apply(
      _ configuration: TunnelConfiguration, to tunnel: Tunnel
    ) async throws(CommandFailure) -> TunnelReloadResult {
      do throws(TunnelError) { return try await tunnel.reload(configuration) } catch { throw error.commandFailure }
    }

    private var unreadable: String {
      guard let user = tunnel.user else { return "\(path): cannot be read again; restart the tunnel" }
      return
        "\(path): the tunnel has become \"\(user)\", who cannot read it; restart the tunnel, or use 'zssp tunnel peer'"
    }
  }

  extension TunnelFile.Program {
    /// Returns the keys whose values differ. None of them takes effect while the tunnel runs.
    fileprivate func changes(to next: TunnelFile.Program) -> [String] {
      [
        ("private-key-file", privateKeyFile != next.privateKeyFile), ("store", store != next.store),
        ("store-key-file", storeKeyFile != next.storeKeyFile), ("crypto", crypto != next.crypto),
      ].compactMap { $0.1 ? $0.0 : nil }
    }
  }

  extension TunnelReloadResult {
    /// Returns the result as text.
    fileprivate func text(besides keys: [String]) -> String {
      var parts = [changed.isEmpty ? "nothing was changed" : changed.joined(separator: ", ")]
      let needed = keys + needsRestart
      if !needed.isEmpty { parts.append("a restart is needed for \(needed.joined(separator: ", "))") }
      if !failures.isEmpty {
        parts.append("this failed, and is tried again by the next reload: \(failures.joined(separator: ", "))")
      }
      return parts.joined(separator: "; ")
    }
  }
#endif
