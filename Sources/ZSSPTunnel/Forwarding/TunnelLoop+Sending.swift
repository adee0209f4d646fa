// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import ZSSP
  import ZSSPNIO

  /// Packets that are not sealed as soon as they are read, because no session exists yet, or it is
  /// on another event loop.
  extension TunnelLoop {
    /// Queues a packet with its virtio header until a session exists.
    func hold(_ packet: [UInt8], for peer: TunnelPeer, at now: Instant) {
      peer.demanded(at: now)
      guard peer.canBeReached || peer.isDialing else {
        return drops.count(.noEndpoint, SegmentSplitter.measure(packet.rawBytes).packets, of: peer.gauges)
      }
      let dropped = peer.waiting.append(packet)
      if dropped > 0 { drops.count(.queueFull, dropped, of: peer.gauges) }
      dial(peer, at: now)
    }

    /// Requests a session, unless an attempt is under way or the last one has just failed.
    func dial(_ peer: TunnelPeer, at now: Instant) {
      guard !peer.isDialing, peer.backoff.isDue(at: now) else { return }
      peer.isDialing = true
      wanted.yield(peer.id)
    }

    /// Sends queued packets on the session's event loop, whichever that is.
    func send(_ packets: [[UInt8]], to peer: TunnelPeer, on session: Session, at now: Instant) {
      var count = 0
      var bytes = 0
      var largest = 0
      for packet in packets {
        let size = SegmentSplitter.measure(packet.rawBytes)
        count += size.packets
        bytes += size.bytes
        largest = max(largest, size.bytes / max(1, size.packets))
      }
      let drops = drops
      let gauges = peer.gauges
      let treatment = treatment(peer)
      let isQueued = Self.offer(to: session, bytes: bytes) { run throws(SendError) in
        var splitter = SegmentSplitter()
        var rest = packets[...]
        do throws(SendError) {
          while let packet = rest.first {
            let isWhole = try Self.append(packet, to: &run, splitter: &splitter, treatment: treatment)
            if !isWhole { drops.count(.malformed, of: gauges) }
            rest = rest.dropFirst()
          }
        } catch {
          // Some packets of a super-packet may have been sent.
          drops.count(.unsent, rest.reduce(0) { $0 + SegmentSplitter.measure($1.rawBytes).packets }, of: gauges)
          throw error
        }
      }
      if isQueued {
        peer.recordSent(packets: count, bytes: bytes, largest: largest, at: now)
      } else {
        drops.count(.unsent, count, of: gauges)
      }
    }

    /// Seals a packet. Returns false if it is malformed.
    private static func append(
      _ packet: [UInt8], to run: inout SendRun, splitter: inout SegmentSplitter, treatment: PacketTreatment
    ) throws(SendError) -> Bool {
      guard let header = VirtioHeader(packet.rawBytes) else { return false }
      var packet = packet
      var elements = packet.mutableSpan
      var bytes = elements.mutableBytes
      var inner = bytes.slice(VirtioHeader.size..<bytes.byteCount)
      let limit = treatment.apply(to: &inner, header: header, run: &run)
      return try splitter.split(&inner, header: header, limit: limit) { segment throws(SendError) in
        try run.append(segment)
      }
    }

    /// Lets a session's event loop write messages. Returns false if it has no room, or the session
    /// has ended.
    static func offer(
      to session: Session, bytes: Int, _ body: @escaping @Sendable (inout SendRun) throws(SendError) -> Void
    ) -> Bool {
      do { return try session.sendMessagesIfRoom(ofBytes: bytes, body) } catch {
        // The tunnel learns of the end by the session's events, and opens another session if one is
        // wanted.
        return false
      }
    }
  }
#endif
