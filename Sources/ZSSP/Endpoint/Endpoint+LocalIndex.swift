// SPDX-License-Identifier: Apache-2.0

// [DEC-86]
/// The own addresses of this host from which the endpoint may still send.
extension Endpoint {
  /// Returns which numbers of own addresses (``Address/localIndex``) are in use: those from which
  /// datagrams may still leave, because a session, a handshake, a waiting Hello or ``outbox``
  /// refers to them. A transport that has assigned all its numbers can use the others for other
  /// addresses.
  ///
  /// It looks at every session, so call it when numbers have run out, and not for every datagram.
  ///
  /// - Returns: 256 values, one for each number.
  public func localIndexesInUse() -> [Bool] {
    var isInUse = [Bool](repeating: false, count: Int(UInt8.max) + 1)
    func use(_ address: Address) { isInUse[Int(address.localIndex)] = true }
    for session in peers.sessions.all { use(session.address) }
    for handshake in hellos.handshakes { use(handshake.address) }
    for owner in pending.waiting {
      switch owner {
      case .session(let session): use(session.address)
      case .halfOpen(let handshake): use(handshake.address)
      }
    }
    for source in hellos.gate.waitingSources { use(source) }
    for run in outbox.runs { use(run.address) }
    return isInUse
  }
}
