// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ZSSPFiles
  import ZSSPTunnel

  extension TunnelFile {
    /// Reads the file again, and applies its changes to the tunnel that was started from it.
    ///
    /// - Parameters:
    ///   - tunnel: The tunnel.
    ///   - store: The tunnel's store.
    ///   - log: The log, whose level and format change at once.
    /// - Returns: What was changed, and what needs a restart, as text.
    /// - Throws: ``TunnelError/refused(_:)``, or ``TunnelError/incomplete(_:)`` if the system
    ///   refused changes.
    func reload(_ tunnel: Tunnel, store: any KeptRatchets, log: TunnelCommandLog) async throws(TunnelError) -> String {
      try checkReadableAgain()
      do throws(CommandFailure) {
        var next = try TunnelFile.read(path)
        try next.checkPeers(besides: tunnel.publicKey)
        try await next.enroll(in: store)
        var result = try await Self.apply(next.tunnel, to: tunnel)
        if log.apply(next.program) {
          tunnel.logLevelChanged()
          result.changed.append("log")
        }
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

    /// Refuses a file that cannot be read again, and a pipe, which would block. The tunnel goes on.
    ///
    /// - Throws: ``TunnelError/refused(_:)``.
    private func checkReadableAgain() throws(TunnelError) {
      do throws(FileFailure) {
        _ = try PrivateFile.read(path, limit: SecretFile.Kind.configuration.limit, isFile: true)
      } catch {
        let hasUser = error.kind == .unusable && tunnel.user != nil
        let remedy = hasUser ? "; the tunnel has become \"\(tunnel.user ?? "")\": 'zssp tunnel peer' changes peers" : ""
        throw .refused("\(error)\(remedy); nothing was changed")
      }
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
