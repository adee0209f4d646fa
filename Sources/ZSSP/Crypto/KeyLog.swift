// SPDX-License-Identifier: Apache-2.0
#if KeyLog
  /// The receiver of the keys of sessions, for tools that read captures of the network.
  ///
  /// Whoever has these lines can read all that the sessions sent and received. A key log exists
  /// only in builds with the trait `KeyLog`, and only if the application asks for one:
  /// ``EndpointConfiguration/keyLog``. `Documentation/captures.md` describes the lines.
  public struct KeyLog: Sendable {
    private let write: @Sendable (String) -> Void

    /// Creates a key log that gives each line, without its end, to `write`. `write` is called on
    /// the threads that drive endpoints.
    public init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

    /// A key of Noise, and the hash that it authenticates.
    package struct Sealing: Sendable {
      let hash: Digest
      let key: Secret
    }

    // The messages of XK, in the order in which both sides seal or open them.
    private static let fingerprints = 1
    private static let responderKeyID = 3
    private static let staticKey = 4
    private static let identity = 5

    /// Writes what the responder has after X2.
    func record(
      _ hello: ResponderHandshake.Hello, _ response: ResponderHandshake.Response, responderKeyID: KeyID
    ) {
      self.hello(hello.initiatorKeyID, sealings: hello.sealings, headers: hello.headerKeys, role: .responder)
      self.response(
        hello.initiatorKeyID, responderKeyID, sealings: response.sealings, headers: hello.headerKeys,
        role: .responder)
    }

    /// Writes what a side has after a handshake, XK or KK.
    func record(
      _ secrets: SessionSecrets, _ initiator: KeyID, _ responder: KeyID, headers: DirectionalKeys, role: Role
    ) {
      // KK seals two messages, XK six. The responder's X2 has its line already.
      if role == .initiator {
        response(initiator, responder, sealings: secrets.sealings, headers: headers, role: role)
      }
      completion(responder, sealings: secrets.sealings, headers: headers, role: role)
      session(initiator, responder, secrets, headers: headers, role: role)
    }

    /// Writes the keys that both sides have after X1.
    func hello(_ initiator: KeyID, sealings: [Sealing], headers: DirectionalKeys, role: Role) {
      guard sealings.count > Self.fingerprints else { return }
      write(
        line("HELLO", role, [initiator], texts(sealings[Self.fingerprints]) + texts(headers)))
    }

    /// Writes the keys that both sides have after X2.
    func response(
      _ initiator: KeyID, _ responder: KeyID, sealings: [Sealing], headers: DirectionalKeys, role: Role
    ) {
      guard sealings.count > Self.responderKeyID else { return }
      write(
        line("RESPONSE", role, [initiator, responder], texts(sealings[Self.responderKeyID]) + texts(headers)))
    }

    /// Writes the keys of X3.
    func completion(_ responder: KeyID, sealings: [Sealing], headers: DirectionalKeys, role: Role) {
      guard sealings.count > Self.identity else { return }
      write(
        line(
          "COMPLETION", role, [responder],
          texts(sealings[Self.staticKey]) + texts(sealings[Self.identity]) + texts(headers)))
    }

    /// Writes the keys of a session.
    func session(
      _ initiator: KeyID, _ responder: KeyID, _ secrets: SessionSecrets, headers: DirectionalKeys, role: Role
    ) {
      write(
        line(
          "SESSION", role, [initiator, responder],
          texts(headers) + texts(secrets.exchangeKeys) + texts(secrets.transportKeys)))
    }

    private func line(_ kind: String, _ role: Role, _ keyIDs: [KeyID], _ texts: [String]) -> String {
      let names = ["ZSSP1", kind, role == .initiator ? "initiator" : "responder"]
      return (names + keyIDs.map { $0.bytes.rawBytes.hexadecimal } + texts).joined(separator: " ")
    }

    private func texts(_ sealing: Sealing) -> [String] {
      [sealing.hash.bytes.hexadecimal, sealing.key.bytes.hexadecimal]
    }

    private func texts(_ keys: DirectionalKeys) -> [String] {
      [keys.toInitiator.bytes.hexadecimal, keys.toResponder.bytes.hexadecimal]
    }
  }
#endif
