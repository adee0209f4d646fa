// SPDX-License-Identifier: Apache-2.0

/// A description of a session at one moment.
public struct SessionDescription: Sendable, Hashable {
  /// The state's name in the specification: A1, A3, S1, S2, R1 or R2.
  public let state: String
  /// The peer's static key.
  public let peer: PublicKey
  /// This side's role in the XK handshake.
  public let role: Role
  /// The address that datagrams are sent to.
  public let address: Address
  /// True if data can be sent.
  public let isEstablished: Bool
  /// The reason of the last restart of the handshake, or the fault of the answers to the present
  /// one. Nil if there is neither.
  public let lastRestart: RestartReason?
  /// True if the responder has asked for a proof of work, and the session is not established yet.
  public let wasChallenged: Bool
  /// The chain length of the current key; 0 before there is one.
  public let chainLength: UInt64
  /// The time when the last authentic packet arrived from the peer, or else when the session was
  /// established. Nil before it is.
  public let lastReceived: Instant?
  /// The last measured time from a probe (C1) to its answer (C2); nil if it was never measured. It
  /// includes the peer's processing time, but no public-key work.
  public let roundTrip: Duration?
  /// The largest datagram of data in bytes, if it is less than ``Settings/mtu``; otherwise nil. See
  /// ``Endpoint/setDatagramLimit(_:of:)``.
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
    wasChallenged = session.wasChallenged
    chainLength = session.core.keys.current?.chainLength ?? 0
    lastReceived = isEstablished ? session.core.liveness.lastReceived : nil
    roundTrip = session.core.liveness.roundTrip
    datagramLimit = session.core.narrowedLimit
    statistics = session.core.statistics
  }
}
