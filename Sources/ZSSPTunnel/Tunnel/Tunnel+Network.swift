// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Synchronization

  /// Putting back what other programs remove from the system's network. systemd-networkd, for
  /// example, removes the rules that it does not know whenever it starts, and without its rules a
  /// full tunnel is no longer one.
  extension Tunnel {
    /// The minimum time between two looks at the system, each of which runs `ip` several times.
    private static let restorePace = Duration.milliseconds(500)

    /// Starts to watch the system's network. Where that is not possible a warning says so. The
    /// network of a prepared device is the administrator's.
    func watchNetwork() async {
      guard !device.isPrepared else { return }
      let changes = networkChanges.continuation
      let log = log
      @Sendable func warn(_ reason: any Error) {
        log.warning("what other programs remove from the tunnel's routes is not put back: \(reason)")
      }
      do {
        try await loop.eventLoop.submit { [loop] in
          try loop.value.watchNetwork(removed: { changes.yield() }, failed: { warn($0) })
        }.get()
      } catch {
        warn(error)
      }
    }

    /// Puts back what is missing after each change, until the task is cancelled.
    func restoreNetwork() async {
      for await _ in networkChanges.stream {
        await turn.begin()
        await restore()
        turn.end()
        // A program that removes one thing removes others next. The sleep ends early only at the
        // end.
        do { try await Task.sleep(for: Self.restorePace) } catch { return }
      }
    }

    private func restore() async {
      guard !isEnding.load(ordering: .relaxed) else { return }
      do throws(TunnelError) {
        let configuration = registry.configuration
        var restored = try network.removed()
        var failures: [String] = []
        if !restored.isEmpty {
          failures = network.apply(addresses: configuration.addresses, routes: routing.routes(configuration))
        }
        for rule in try routing.removed(of: ledger.rules) {
          restored.append(rule.joined(separator: " "))
          if let failure = try RoutingPlan.add(rule) { failures.append(failure) }
        }
        await endpointRoutes.settle(verifiesAll: true)
        guard !restored.isEmpty else { return }
        let result =
          failures.isEmpty ? "it is back" : "not all of it could be put back: \(failures.joined(separator: "; "))"
        log.limited(
          .network, of: nil, level: failures.isEmpty ? .warning : .error,
          "another program removed \(restored.joined(separator: ", ")); \(result)", [:])
      } catch {
        log.limited(.network, of: nil, level: .error, "the tunnel's routes cannot be checked: \(error)", [:])
      }
    }
  }
#endif
