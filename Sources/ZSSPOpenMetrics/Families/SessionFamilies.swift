// SPDX-License-Identifier: Apache-2.0
import ZSSP
public import ZSSPNIO

/// The metrics of an endpoint and of its sessions, one row for each peer.
public enum SessionFamilies {
  /// The number of characters of a peer's key in its label.
  private static let labelLength = 12

  /// Returns the metrics of an endpoint, of the system's queues, and of the peers of its sessions.
  /// A peer is `up` if its session is established, otherwise `opening`. Messages count as packets.
  ///
  /// - Parameter endpoint: The endpoint.
  public static func make(_ endpoint: UDPEndpoint) async -> [MetricFamily] {
    let statistics = await endpoint.statistics()
    let sessions = await endpoint.sessionDescriptions().sorted { $0.session.peer < $1.session.peer }
    var peers: [PeerSample] = []
    for (session, now) in sessions {
      let key = "\(session.peer)"
      var sample = PeerSample(
        label: String(key.prefix(labelLength)), publicKey: key, state: session.isEstablished ? "up" : "opening")
      sample.packetsSent = session.statistics.messagesSent
      sample.bytesSent = session.statistics.bytesSent
      sample.packetsReceived = session.statistics.messagesReceived
      sample.bytesReceived = session.statistics.bytesReceived
      sample.receivedAge = session.lastReceived.map { max(0, $0.duration(to: now).seconds) }
      sample.roundTrip = session.roundTrip?.seconds
      sample.ratchetLength = session.chainLength
      sample.sessions = session.isEstablished ? 1 : 0
      sample.rekeys = session.statistics.rekeys
      // A peer has two sessions while another one is being opened.
      if let last = peers.last, last.publicKey == key {
        if session.isEstablished { peers[peers.count - 1] = sample }
      } else {
        peers.append(sample)
      }
    }
    return EndpointFamilies.make(statistics) + [EndpointFamilies.systemDrops(statistics.transport)]
      + PeerFamilies(states: ["up", "opening"]).make(peers)
  }
}
