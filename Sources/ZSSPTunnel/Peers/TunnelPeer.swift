// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Synchronization
  import ZSSP
  import ZSSPNIO

  /// What the tunnel's event loop knows of a peer.
  final class TunnelPeer {
    let id: Int
    var configuration: PeerConfiguration
    let gauges: PeerGauges
    /// The session that packets go to; nil while there is none.
    var session: Session?
    /// Packets that wait for it.
    var waiting = PacketQueue()
    /// Whether somebody is opening a session.
    var isDialing = false
    /// When there was a packet for it last; 0 for never.
    var lastDemand: Int64 = 0
    /// Where the peer was last.
    var address: Address?
    /// When the last handshake or re-key was done.
    var lastHandshake: Int64?
    var chainLength: UInt64 = 0
    /// The state of whether the peer answers.
    var liveness = Liveness()

    init(id: Int, _ configuration: PeerConfiguration) {
      (self.id, self.configuration) = (id, configuration)
      gauges = PeerGauges()
    }

    /// Counts what is about to go to the peer.
    func noteSent(packets: Int, bytes: Int, at now: Int64) {
      gauges.packetsSent.add(UInt64(packets), ordering: .relaxed)
      gauges.bytesSent.add(UInt64(bytes), ordering: .relaxed)
      lastDemand = now
      liveness.sent(at: now)
    }
  }
#endif
