// SPDX-License-Identifier: Apache-2.0

/// A session as seen from outside.
public struct SessionDescription: Sendable, Hashable {
  /// The state's name in the specification: A1, A3, S1, S2, R1 or R2.
  public let state: String
  /// The peer's static key.
  public let peer: PublicKey
  /// The side in the XK handshake.
  public let role: Role
  /// Where datagrams go.
  public let address: Address
  /// Whether data can be sent.
  public let isEstablished: Bool
  /// Why the handshake started anew the last time, or what is wrong with the answers to the present
  /// one; nil if neither.
  public let lastRestart: RestartReason?
  /// The chain length of the current key; 0 before there is one.
  public let chainLength: UInt64
  /// When something authentic of the peer's came last, or else when the session was established; nil before it is.
  public let lastReceived: Instant?
  /// The time from a probe (C1) to its answer (C2), as measured last; nil if it never was. It has the
  /// peer's processing in it, and no public-key work.
  public let roundTrip: Duration?
  /// The largest datagram of data in bytes, if it is less than ``Settings/mtu``; see
  /// ``Endpoint/setDatagramLimit(_:of:)``. Else nil.
  public let datagramLimit: Int?
  /// Counters of the session.
  public let statistics: SessionStatistics

  init(_ session: Session) {
    state = session.stateName
    peer = session.peer
    role = session.core.role
    address = session.address
    isEstablished = session.canSend
    lastRestart = session.lastRestart
    chainLength = session.core.keys.current?.chainLength ?? 0
    lastReceived = isEstablished ? session.core.liveness.lastReceived : nil
    roundTrip = session.core.liveness.roundTrip
    datagramLimit = session.core.narrowedLimit
    statistics = session.core.statistics
  }
}
