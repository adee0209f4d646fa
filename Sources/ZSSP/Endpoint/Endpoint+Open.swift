// SPDX-License-Identifier: Apache-2.0

/// The reason why a session could not be opened.
public enum OpenError: Error, Hashable {
  /// The peer's key is not a point of the curve.
  case invalidPeerKey
  /// The identity is longer than 4096 bytes.
  case identityTooLong(Int)
  /// The endpoint has as many sessions and half-open handshakes as its key ids allow: see
  /// ``Settings/nodeBits``.
  case tooManySessions(limit: Int)
}

extension OpenError: CustomStringConvertible {
  /// The problem and its cause.
  public var description: String {
    switch self {
    case .invalidPeerKey: "the peer's public key is not a point of P-384"
    case .identityTooLong(let size): "an identity of \(size) bytes is too long: the limit is 4096 bytes"
    case .tooManySessions(let limit):
      "session limit \(limit) reached: no key ids left; reduce `nodeBits` or the number of shards"
    }
  }
}

extension Endpoint {
  /// Opens a session.
  ///
  /// The handshake starts at once. It continues, with new keys every ``Settings/handshakeTimeout``,
  /// until it succeeds, is rejected, or the session is closed.
  ///
  /// - Parameters:
  ///   - peer: the static key that the responder must have.
  ///   - address: the destination of the Hello.
  ///   - identity: this side's description of itself, 0 to 4096 bytes. Only `peer` can read it.
  ///   - flags: the flags of this session, of which only
  ///     ``SecurityFlags/initiatorDisallowsDowngrade`` counts; nil, the default, for the endpoint's
  ///     flags.
  ///   - now: the present time.
  /// - Returns: the id of the session.
  /// - Throws: ``OpenError`` if the key is not a point of the curve, the identity is too long, or
  ///   there are no key ids left.
  public mutating func open(
    to peer: PublicKey, at address: Address, identity: [UInt8] = [], flags: SecurityFlags? = nil, now: Instant
  ) throws(OpenError) -> SessionID {
    guard identity.count <= PacketSize.largestIdentity else { throw .identityTooLong(identity.count) }
    guard hasRoomForOwner else { throw .tooManySessions(limit: keyIDs.ownerLimit) }
    let decoded: any AgreementPublicKey
    do { decoded = try provider.agreementPublicKey(peer) } catch { throw .invalidPeerKey }
    let settings = settings
    let opening = Opening(
      to: decoded, at: address, identity: identity, flags: flags ?? surroundings.configuration.flags)
    let session = peers.add { id in Session(opening: opening, to: peer, at: address, id: id, settings) }
    surroundings.directory.begin(surroundings.place(session.id), with: peer)
    perform(session.begin(in: surroundings, at: now), for: session, at: now)
    return session.id
  }
}
