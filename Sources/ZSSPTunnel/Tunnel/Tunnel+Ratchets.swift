// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import ZSSP
  import ZSSPNIO
  import ZSSPSwiftCrypto

  /// Changes to the ratchets of single peers while the tunnel runs.
  extension Tunnel {
    /// The minimum size of a one-time password in bytes.
    private static let shortestPassword = 32
    /// The number of attempts to replace a row that others change at the same time.
    private static let attempts = 5

    /// Erases the ratchet of a peer, and ends its session.
    func forget(_ text: String) async throws(TunnelError) -> String {
      let (id, peer) = try peer(text)
      try await replace(RatchetPair.empty, of: peer.publicKey)
      await endSession(id)
      return "forgot the ratchet of \(peer.label)"
    }

    /// Replaces the ratchet of a peer by one that is derived from a one-time password. Sessions
    /// that this side opens require it from then on. Those that the peer opens require it with π3.
    func enroll(_ text: String, password: String) async throws(TunnelError) -> String {
      let (id, peer) = try peer(text)
      guard password.utf8.count >= Self.shortestPassword else {
        throw .refused(
          "the one-time password is shorter than \(Self.shortestPassword) bytes; 'zssp otp' makes a good one")
      }
      let bytes = Array(password.utf8)
      let state = RatchetState(oneTimePassword: bytes.rawBytes, provider: SwiftCryptoProvider())
      try await replace(RatchetPair(state), of: peer.publicKey)
      let flags = registry.configuration.flags
      registry.change { $0.enroll(peer.publicKey, flags: flags) }
      await endSession(id)
      return Self.enrolled(peer.label, flags: peer.flags ?? flags)
    }

    /// Returns the text about a peer whose ratchet was replaced by a one-time password.
    static func enrolled(_ label: String, flags: SecurityFlags) -> String {
      guard !flags.contains(.responderDisallowsDowngrade) else {
        return "enrolled \(label): the next session needs the one-time password"
      }
      return "enrolled \(label): sessions that this side opens need the one-time password; one that the peer opens "
        + "does not, and only causes a warning, unless mode = \"persistent\" or pi3 = true is set here"
    }

    /// Replaces what the store holds for a peer, unconditionally.
    ///
    /// - Throws: ``TunnelError/incomplete(_:)`` if the store fails, or the row keeps changing.
    private func replace(_ pair: RatchetPair, of key: PublicKey) async throws(TunnelError) {
      for _ in 0..<Self.attempts {
        guard case .pair(let held, _) = await store.answer(.load(peer: key)) else { break }
        switch await store.answer(.compareAndSwap(peer: key, expected: held, new: pair)) {
        case .swapped: return
        // A session that is being opened has changed the row.
        case .notSwapped: continue
        default: break
        }
      }
      throw .incomplete("the store could not be changed; nothing is known to have changed, try again")
    }

    /// Ends the session with a peer, and permits an attempt at once.
    private func endSession(_ id: Int) async {
      let session = await onLoop { $0.detach(id) } ?? nil
      await session?.close()
    }

    /// Finds a peer by its key or its name.
    ///
    /// - Throws: ``TunnelError/refused(_:)`` if no peer or several match.
    func peer(_ text: String) throws(TunnelError) -> (id: Int, peer: PeerConfiguration) {
      let all = registry.table.configurations
      let named = all.filter { $0.value.name == text }
      if let only = named.first, named.count == 1 { return (only.key, only.value) }
      guard named.isEmpty else { throw .refused("\(text): several peers have this name; give the public key") }
      // A text that is no key cannot match either.
      guard let key = try? PublicKey(text: text), let id = registry.table.id(of: key), let peer = all[id] else {
        throw .refused("\(text): no peer has this name or public key")
      }
      return (id, peer)
    }
  }
#endif
