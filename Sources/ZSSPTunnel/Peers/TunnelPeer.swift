// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Synchronization
  import ZSSP
  import ZSSPNIO

  /// The event loop's state of a peer.
  final class TunnelPeer {
    let id: Int
    /// The configuration in the registry. Only ``TunnelLoop/adopt(_:)`` changes it.
    private(set) var configuration: PeerConfiguration
    let gauges: PeerGauges
    /// The session that packets go to; nil for none. It may have ended before this side was told.
    private(set) var session: Session?
    /// The time when the session began for this side.
    private var sessionStart: Instant?
    /// Packets that wait for it.
    var waiting = PacketQueue()
    /// True while a session is being opened.
    var isDialing = false
    /// The pauses between unsuccessful attempts.
    var backoff = Backoff()
    /// The reason why the last attempt failed; nil after a session was opened.
    var failure: DialFailure?
    /// The kinds of failures that were logged since the last session.
    var saidFailures: Set<DialFailure.Kind> = []
    /// The time of the last packet for the peer; nil for never.
    private(set) var lastDemand: Instant?
    /// The peer's last known address.
    var address: Address?
    /// The time of the last handshake or re-key.
    var lastHandshake: Instant?
    var chainLength: UInt64 = 0
    /// The numbers of sessions, re-keys, moves to another address, and failed attempts so far.
    private(set) var counts = (sessions: UInt64(0), rekeys: UInt64(0), moves: UInt64(0), failures: UInt64(0))
    /// The detection of a peer that does not answer.
    var liveness = Liveness()
    /// The search for the MTU of the path to the peer.
    var path: PathMTUSearch
    /// The datagram limit of the session; nil for none.
    var datagramLimit: Int?
    /// True if a packet was sent since the last check that shows whether full datagrams pass.
    var hasSentFullSize = false

    init(
      id: Int, _ configuration: PeerConfiguration,
      path: PathMTUSearch = PathMTUSearch(largest: 0, isSearching: false)
    ) {
      self.id = id
      self.configuration = configuration
      self.path = path
      gauges = PeerGauges()
    }

    /// The time after the last packet for a peer in which a session is still wanted.
    private static let interest = Duration.seconds(60)

    /// The duration after which a session counts as working.
    private static let provingTime = Duration.seconds(5)

    /// True if a session exists that has not ended.
    var hasSession: Bool { session.map { $0.endReason == nil } ?? false }

    /// Uses another session, which begins now.
    func begin(_ session: Session, at now: Instant) {
      self.session = session
      sessionStart = now
      address = session.establishment.address
      lastHandshake = now
      chainLength = session.establishment.chainLength
      counts.sessions += 1
    }

    /// Records a re-key.
    func rekeyed(chainLength: UInt64, at now: Instant) {
      self.chainLength = chainLength
      lastHandshake = now
      counts.rekeys += 1
    }

    /// Records that the peer has moved.
    func moved(to address: Address) {
      self.address = address
      counts.moves += 1
    }

    /// Records a failed attempt to open a session.
    func attemptFailed(at now: Instant) {
      backoff.failed(at: now)
      counts.failures += 1
    }

    /// Removes and returns the session, and permits an attempt at once.
    func takeSession() -> Session? {
      defer { session = nil }
      backoff.restart()
      failure = nil
      return session
    }

    /// Records that the session has ended. Called by the first that notices: the loop, or the
    /// reader of the session's events.
    func endSession(_ reason: EndReason?, at now: Instant) {
      defer { session = nil }
      guard session != nil, let sessionStart else { return }
      recordEnd(reason, after: sessionStart.duration(to: now), at: now)
    }

    /// Records the end of a session that lasted for `duration`. A peer that accepts sessions and
    /// closes them at once does not get one attempt right after another.
    func recordEnd(_ reason: EndReason?, after duration: Duration, at now: Instant) {
      if reason == .closedByPeer, duration < Self.provingTime { backoff.failed(at: now) }
    }

    /// True if this side knows where to look for the peer.
    var canBeReached: Bool { !configuration.endpoints.isEmpty || address != nil }

    /// Returns true if the peer does not answer probes on the session any more.
    func isSilent(at now: Instant) -> Bool { liveness.isSilent(at: now, lastReceived: gauges.lastReceived) }

    /// True if a probe was sent, and nothing has come from the peer since.
    var isProbeUnanswered: Bool { liveness.isProbeUnanswered(lastReceived: gauges.lastReceived) }

    /// The size in bytes of the largest IP packet, with all headers, that is known to reach the
    /// peer; nil while unknown.
    var pathMTU: Int? {
      guard hasSession, let datagram = path.known else { return nil }
      return datagram + (address?.ip.family == .v6 ? NetworkPlan.datagramOverhead : NetworkPlan.v4DatagramOverhead)
    }

    /// Returns true if there was a packet for the peer recently.
    func isInDemand(at now: Instant) -> Bool { lastDemand.map { $0.duration(to: now) < Self.interest } ?? false }

    /// Adopts a configuration. New endpoints are tried at once.
    func adopt(_ configuration: PeerConfiguration) {
      if configuration.endpoints != self.configuration.endpoints { backoff.restart() }
      self.configuration = configuration
    }

    /// Records a packet for the peer. The first one after a pause permits an attempt at once.
    func demanded(at now: Instant) {
      if !isInDemand(at: now), configuration.keepalive == nil { backoff.restart() }
      lastDemand = now
    }

    /// Counts packets that are about to be sent to the peer.
    func recordSent(packets: Int, bytes: Int, largest: Int, at now: Instant) {
      if largest + NetworkPlan.messageOverhead > path.smallest { hasSentFullSize = true }
      gauges.packetsSent.add(UInt64(packets), ordering: .relaxed)
      gauges.bytesSent.add(UInt64(bytes), ordering: .relaxed)
      lastDemand = now
      liveness.sent(at: now)
    }
  }
#endif
