// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Synchronization
  import ZSSP
  import ZSSPNIO

  /// Passes packets from the sessions of one event loop to the device. Used on that event loop
  /// only.
  final class InboundPath {
    private let device: TunDevice
    private let drops: DropCounters
    private var coalescer: Coalescer
    /// The owners of addresses.
    private var table: PrefixTable

    init(to device: TunDevice, table: PrefixTable, drops: DropCounters) {
      self.device = device
      self.table = table
      self.drops = drops
      coalescer = Coalescer(.init(tcp: device.segmentsTCP, udp: device.segmentsUDP))
    }

    /// Uses another table from the next packet on.
    func adopt(_ peers: PeerTable) { table = peers.prefixes }

    /// Takes a packet from a peer, and returns true if it is accepted.
    ///
    /// - Parameters:
    ///   - packet: The packet.
    ///   - peer: The number of the peer.
    ///   - limit: The size in bytes of the largest packet that fits into one datagram to the peer;
    ///     0 while unknown.
    ///   - trafficClass: The traffic class of the packet's datagram.
    ///   - peersDrops: The counters of the peer. None by default.
    func take(
      _ packet: RawSpan, from peer: Int, limit: Int = 0, trafficClass: UInt8 = 0, peersDrops: DropCounters? = nil
    ) -> Bool {
      if let reason = accept(packet, from: peer, limit: limit, trafficClass: trafficClass) {
        drops.count(reason)
        peersDrops?.count(reason)
        return false
      }
      return true
    }

    /// Takes a packet, or returns the reason to drop it.
    private func accept(
      _ packet: RawSpan, from peer: Int, limit: Int, trafficClass: UInt8
    ) -> TunnelDropReason? {
      guard let inner = InnerPacket(packet) else { return .malformed }
      guard table.value(for: inner.source) == peer else { return .foreignSource }
      let packet = packet.extracting(0..<inner.length)
      // Traffic classes without the lowest bit carry no congestion mark.
      if trafficClass & 1 != 0 || limit > 0 && SegmentSizeClamp.opensConnection(packet) {
        return change(packet, limit: limit, trafficClass: trafficClass)
      }
      add(packet)
      return nil
    }

    private func add(_ packet: RawSpan) {
      let device = device
      let drops = drops
      coalescer.add(packet) { Self.write($0, to: device, drops: drops) }
    }

    /// Takes a packet that must be changed first, which is rare, or returns the reason to drop it.
    private func change(_ packet: RawSpan, limit: Int, trafficClass: UInt8) -> TunnelDropReason? {
      let outcome = TrafficClass.outcome(inner: TrafficClass.of(packet), outer: trafficClass)
      guard outcome != .dropped else { return .congested }
      var changed = packet.array
      changed.withMutableBytes { bytes in
        if case .marked(let bits) = outcome { TrafficClass.mark(&bytes, with: bits) }
        if limit > 0, SegmentSizeClamp.opensConnection(bytes.bytes) {
          let isV6 = bytes[byte: 0] >> 4 == 6
          SegmentSizeClamp.clamp(
            &bytes, limit: isV6 ? max(limit, NetworkPlan.smallestV6MTU) : limit, isPartial: false)
        }
      }
      add(changed.rawBytes)
      return nil
    }

    /// Writes what is gathered, because no packet follows for now.
    func flush() {
      let device = device
      let drops = drops
      coalescer.flush { Self.write($0, to: device, drops: drops) }
    }

    /// Writes a packet with its virtio header to the device.
    private static func write(_ bytes: RawSpan, to device: TunDevice, drops: DropCounters) {
      if !device.write(bytes) { drops.count(.deviceFull, SegmentSplitter.measure(bytes).packets) }
    }
  }

  /// Receives the messages of one peer's session.
  final class PeerInbound: MessageHandler {
    private let peer: Int
    private let answer: @Sendable (TunnelMessage) -> Void
    private let probed: @Sendable (UInt64) -> Void
    private let gauges: PeerGauges
    /// Counts of the current burst. Used on the session's event loop only, like the path.
    nonisolated(unsafe) private var burst = (messages: 0, packets: 0, bytes: 0)
    nonisolated(unsafe) private let path: InboundPath

    /// Makes a handler. Must be called on the session's event loop. `answer` sends the responses to
    /// questions and probes; `probed` receives the numbers of answered path probes.
    init(
      _ peer: Int, gauges: PeerGauges, path: InboundPath, answer: @escaping @Sendable (TunnelMessage) -> Void,
      probed: @escaping @Sendable (UInt64) -> Void = { _ in }
    ) {
      self.peer = peer
      self.gauges = gauges
      self.path = path
      self.answer = answer
      self.probed = probed
    }

    func receive(_ message: RawSpan) { receive(message, trafficClass: 0) }

    func receive(_ message: RawSpan, trafficClass: UInt8) {
      burst.messages += 1
      switch TunnelMessage(message) {
      case .packet:
        let limit = gauges.pathLimit.load(ordering: .relaxed)
        let isTaken = path.take(
          message, from: peer, limit: limit, trafficClass: trafficClass, peersDrops: gauges.drops)
        guard isTaken else { return }
        burst.packets += 1
        burst.bytes += message.byteCount
      case .question(let number):
        answer(.answer(number))
      case .probe(let number):
        answer(.probeAnswer(number))
      case .probeAnswer(let number):
        if gauges.expectsProbeAnswer() { probed(number) }
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
