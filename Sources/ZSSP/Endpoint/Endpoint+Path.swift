// SPDX-License-Identifier: Apache-2.0

// [DEC-87]
/// How large the datagrams of a session may be. Each session has a limit of its own, so that one narrow path does not cost the
/// others anything. A message that does not fit into one datagram leaves in several.
extension Endpoint {
  /// Sets the largest datagram of a session's data, in bytes of UDP payload.
  ///
  /// It is never less than ``Settings/smallestDatagramLimit``, unless ``Settings/mtu`` is, and never more than that. It holds
  /// until the session ends or it is set again. Messages of up to ``Settings/largestMessage`` bytes can be sent in any case: those
  /// that would need more than 48 datagrams leave in 48 larger ones.
  ///
  /// - Parameters:
  ///   - limit: the limit; nil for ``Settings/mtu``.
  ///   - id: the session.
  /// - Returns: the limit that holds now; nil if there is no such session.
  @discardableResult
  public mutating func setDatagramLimit(_ limit: Int?, of id: SessionID) -> Int? {
    peers[id]?.setDatagramLimit(limit, settings)
  }

  /// The system has refused a datagram because it is larger than what the local network device takes: sessions with
  /// that address, and with as large datagrams, get ``Settings/smallestDatagramLimit``.
  ///
  /// It is not for what ICMP says, which anybody can send.
  ///
  /// - Parameters:
  ///   - size: the bytes of the datagram.
  ///   - address: where it was to go.
  public mutating func datagramRefused(ofBytes size: Int, to address: Address) {
    let settings = settings
    guard size > Settings.smallestDatagramLimit else { return }
    for session in peers.sessions.all where session.address == address && session.core.datagramLimit(settings) >= size {
      _ = session.setDatagramLimit(Settings.smallestDatagramLimit, settings)
    }
  }
}
