// SPDX-License-Identifier: Apache-2.0

#if Tunnel && os(Linux)
  import ZSSP
  import ZSSPNIO
  import ZSSPTunnel

  /// Probes the peers of a configuration file, for `zssp tunnel check --probe`.
  ///
  /// The probes have sockets of their own, so the tunnel may be running. They send no X3: see
  /// `HelloProbe` for why that changes no store.
  struct TunnelProbes: Sendable {
    let file: TunnelFile
    let endpoint: EndpointConfiguration
    let patience: Duration
    let json: Bool

    /// Probes all peers, one after another.
    ///
    /// - Throws: ``CommandFailure/failed(_:)`` if one of them does not answer, or has lost its
    ///   ratchet.
    func run() async throws(CommandFailure) {
      let pairs = try await ratchets()
      var troubled: [String] = []
      for (index, peer) in file.tunnel.peers.enumerated() {
        let name = peer.name.map { Terminal.printable($0.utf8) } ?? "peer \(index + 1)"
        var isFine = peer.endpoints.isEmpty
        for endpoint in peer.endpoints where !isFine {
          if !json { Terminal.output("\n\(name) at \(endpoint)") }
          isFine = try await probe(peer, named: name, at: "\(endpoint)", ratchets: ratchets(of: peer, in: pairs))
        }
        if !isFine { troubled.append(name) }
        if peer.endpoints.isEmpty, !json { Terminal.output("\n\(name) has no endpoint: it is not probed") }
      }
      guard troubled.isEmpty else { throw .failed("needs attention: \(troubled.joined(separator: ", "))") }
    }

    private func probe(
      _ peer: PeerConfiguration, named name: String, at target: String, ratchets: [RatchetState]
    ) async throws(CommandFailure) -> Bool {
      var probe = PeerProbe(key: peer.publicKey, configuration: endpoint, ratchets: ratchets, patience: patience)
      probe.takeWay(of: file.tunnel)
      let walk = PingWalk(
        target: target, probe: probe, hasNewKey: false, reporter: PingReporter(json: json, peer: name))
      do {
        let outcome = try await walk.run(store: nil)
        return outcome.isAnswered && !outcome.isRefused
      } catch CommandFailure.usage(let message) {
        // A name that is not known, which the walk has reported, is the fault of this peer alone.
        Terminal.error(message)
        return false
      }
    }

    /// Returns the states that Hellos name: those of the store, or of a password that is not used
    /// yet.
    private func ratchets(
      of peer: PeerConfiguration, in pairs: [PublicKey: RatchetPair]
    ) throws(CommandFailure) -> [RatchetState] {
      if let pair = pairs[peer.publicKey] { return PeerProbe.ratchets(of: pair) }
      return if let file = peer.oneTimePasswordFile { [try OneTimePassword.read(file)] } else { [] }
    }

    /// Returns a copy of what the store holds. The store is closed again before the first Hello.
    private func ratchets() async throws(CommandFailure) -> [PublicKey: RatchetPair] {
      let location = file.program.store
      guard location != .memory else { return [:] }
      let key: Secret? =
        if let file = file.program.storeKeyFile { try StoreKeyOption.read(file: file) } else { nil }
      let store: any KeptRatchets
      do { store = try await location.open(key: key, creates: false, owner: file.program.user?.user) } catch {
        let failure = StoreLocation.advise(
          error,
          inUse: "to probe with its ratchets, end the tunnel and probe again, or look for unknownRatchet among the "
            + "peer's drops"
        ).ofTunnel
        Terminal.warning(
          "\(file.path): \(failure); Hellos are sent without ratchets, which peers in persistent mode do not answer")
        return [:]
      }
      let rows: [PublicKey: RatchetRow]
      do { rows = try await store.everything() } catch {
        await store.finish()
        throw error
      }
      await store.finish()
      return rows.mapValues(\.pair)
    }
  }
#endif
