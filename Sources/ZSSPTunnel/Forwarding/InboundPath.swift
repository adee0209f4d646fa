// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Synchronization
  import ZSSP
  import ZSSPNIO

  /// The way from the sessions of one event loop to the device. To be used on that event loop.
  final class InboundPath {
    private let device: TunDevice
    private let drops: DropCounters
    private var coalescer: Coalescer
    /// The peer that each address belongs to.
    private var table: PrefixTable

    init(_ device: TunDevice, _ table: PrefixTable, _ drops: DropCounters) {
      self.device = device
      self.table = table
      self.drops = drops
      coalescer = Coalescer(.init(tcp: device.segmentsTCP, udp: device.segmentsUDP))
    }

    /// Uses another table from the next packet on.
    func adopt(_ peers: PeerTable) { table = peers.prefixes }

    /// Takes a packet that came from a peer. Returns whether it may have come from there.
    func take(_ packet: RawSpan, from peer: Int) -> Bool {
      guard let inner = InnerPacket(packet) else {
        drops.count(.malformed)
        return false
      }
      guard table.value(for: inner.source) == peer else {
        drops.count(.foreignSource)
        return false
      }
      let (device, drops) = (device, drops)
      coalescer.add(packet.extracting(0..<inner.length)) { Self.write($0, to: device, drops) }
      return true
    }

    /// Nothing comes for now.
    func flush() {
      let (device, drops) = (device, drops)
      coalescer.flush { Self.write($0, to: device, drops) }
    }

    /// Gives a packet, with its header in front, to the system.
    private static func write(_ bytes: RawSpan, to device: TunDevice, _ drops: DropCounters) {
      if !device.write(bytes) { drops.count(.deviceFull, SegmentSplitter.measure(bytes).packets) }
    }
  }

  /// Takes the messages of one peer's session.
  final class PeerInbound: MessageHandler {
    private let peer: Int
    private let answer: @Sendable (TunnelMessage) -> Void
    private let gauges: PeerGauges
    /// What a burst has brought. Used on the session's event loop only, as is the path.
    nonisolated(unsafe) private var burst = (messages: 0, packets: 0, bytes: 0)
    nonisolated(unsafe) private let path: InboundPath

    /// To be made on the session's event loop. What is asked is answered by `answer`.
    init(_ peer: Int, _ gauges: PeerGauges, _ path: InboundPath, answer: @escaping @Sendable (TunnelMessage) -> Void) {
      (self.peer, self.gauges, self.path, self.answer) = (peer, gauges, path, answer)
    }

    func receive(_ message: RawSpan) {
      burst.messages += 1
      switch TunnelMessage(message) {
      case .packet:
        guard path.take(message, from: peer) else { return }
        burst.packets += 1
        burst.bytes += message.byteCount
      case .question(let number):
        answer(.answer(number))
      case .answer, .keepalive, .unknown:
        break
      }
    }

    func answered(roundTrip: Duration?) { gauges.recordAnswer(after: roundTrip, at: TunnelClock.now) }

    func burstEnded() {
      path.flush()
      if burst.packets > 0 {
        gauges.packetsReceived.add(UInt64(burst.packets), ordering: .relaxed)
        gauges.bytesReceived.add(UInt64(burst.bytes), ordering: .relaxed)
      }
      if burst.messages > 0 { gauges.recordReceived(at: TunnelClock.now) }
      burst = (0, 0, 0)
    }
  }
#endif
