// SPDX-License-Identifier: Apache-2.0

// [DEC-87]
/// Limits the size of a session's datagrams. Each session has a limit of its own, so a narrow path
/// of one does not slow the others. A message that does not fit into one datagram is sent in
/// several.
extension Endpoint {
  /// Sets the largest datagram of a session's data, in bytes of UDP payload.
  ///
  /// It is at least ``Settings/smallestDatagramLimit`` (unless ``Settings/mtu`` is smaller) and at
  /// most ``Settings/mtu``. It holds until the session ends or it is set again. Messages of up to
  /// ``Settings/largestMessage`` bytes can be sent in any case: those that would need more than 48
  /// datagrams are sent in 48 larger ones.
  ///
  /// - Parameters:
  ///   - limit: the limit in bytes; nil for ``Settings/mtu``.
  ///   - id: the session.
  /// - Returns: the limit that holds now; nil if the session does not exist.
  @discardableResult
  public mutating func setDatagramLimit(_ limit: Int?, of id: SessionID) -> Int? {
    peers[id]?.setDatagramLimit(limit, settings: settings)
  }

  /// Records that the system refused a datagram because it is larger than the local network device
  /// accepts. Sessions that send datagrams of that size to that address get
  /// ``Settings/smallestDatagramLimit``.
  ///
  /// Do not call it for ICMP messages, which anyone can send.
  ///
  /// - Parameters:
  ///   - size: the size of the datagram in bytes.
  ///   - address: the destination of the datagram.
  public mutating func datagramRefused(ofBytes size: Int, to address: Address) {
    let settings = settings
    guard size > Settings.smallestDatagramLimit else { return }
    for session in peers.sessions.all where session.address == address && session.core.datagramLimit(settings) >= size {
      _ = session.setDatagramLimit(Settings.smallestDatagramLimit, settings: settings)
    }
  }
}
