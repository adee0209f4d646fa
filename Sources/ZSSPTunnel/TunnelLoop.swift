// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import Synchronization
  import ZSSP
  import ZSSPNIO

  /// The way from the device to the sessions, and who has which. All of it happens on the event loop of the endpoint's first shard.
  final class TunnelLoop {
    let eventLoop: any EventLoop
    let device: TunDevice
    let mtu: Int
    let drops: DropCounters
    var peers: [Int: TunnelPeer] = [:]
    var table = PrefixTable()
    /// Sessions whose events somebody reads.
    var followed: Set<SessionPlace> = []
    /// Peers that need a session.
    let wanted: AsyncStream<Int>.Continuation

    private var watch: DescriptorWatch?
    private var ticker: RepeatedTask?
    /// The packet that was read last, and its header; none while `packetSize` is 0.
    private var buffer = [UInt8](repeating: 0, count: VirtioHeader.size + 65_535)
    private var packetSize = 0
    private var header = VirtioHeader()
    private var splitter = SegmentSplitter()
    private var queue = StandingQueue()

    private var budget = ReadBudget()
    private var onFailure: ((TunnelError) -> Void)?

    /// What one run for one peer may read.
    private static let bytesPerRun = 128 << 10

    /// To be made on the event loop.
    init(
      _ device: TunDevice, mtu: Int, on eventLoop: any EventLoop, _ drops: DropCounters,
      wanted: AsyncStream<Int>.Continuation
    ) {
      (self.device, self.mtu, self.eventLoop) = (device, mtu, eventLoop)
      (self.drops, self.wanted) = (drops, wanted)
    }

    /// Begins to read the device. If that cannot be read any more, `onFailure` is called once.
    func start(onFailure: @escaping (TunnelError) -> Void) throws {
      self.onFailure = onFailure
      watch = try DescriptorWatch(descriptor: device.descriptor, on: eventLoop) { [self] in readDevice() }
      let bound = NIOLoopBound(self, eventLoop: eventLoop)
      ticker = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in bound.value.tick() }
    }

    /// Ends it.
    func stop() {
      watch?.end()
      watch = nil
      ticker?.cancel()
      for peer in peers.values { peer.session = nil }
    }

    // MARK: From the device

    /// Reads what there is, but not for ever.
    private func readDevice() {
      let now = TunnelClock.now
      budget = ReadBudget()
      if queue.drops(at: now), packetSize > 0 || readPacket() {
        packetSize = 0
        drops.count(.queueStands)
      }
      while !budget.isSpent, watch?.isReading == true, packetSize > 0 || readPacket() {
        guard let peer = destination() else {
          packetSize = 0
          continue
        }
        send(to: peer, at: now)
      }
    }

    private func readPacket() -> Bool {
      do throws(TunnelError) {
        while !budget.isSpent {
          guard let count = try device.read(into: &buffer) else {
            queue.emptied()
            return false
          }
          budget.spend(count)
          guard let header = VirtioHeader(buffer.rawBytes) else {
            drops.count(.malformed)
            continue
          }
          (self.header, packetSize) = (header, count - VirtioHeader.size)
          return true
        }
      } catch {
        // The system goes on to say that there is something to read.
        watch?.end()
        watch = nil
        onFailure.take()?(error)
      }
      return false
    }

    /// The peer that the packet is for, if it may go there.
    private func destination() -> TunnelPeer? {
      // Let go of at the end, before anything is read into it again.
      let buffer = buffer
      let packet = buffer.rawBytes.extracting(VirtioHeader.size..<VirtioHeader.size + packetSize)
      guard let inner = InnerPacket(packet) else {
        drops.count(.malformed)
        return nil
      }
      guard let id = table.value(for: inner.destination), let peer = peers[id] else {
        drops.count(.noPeer)
        return nil
      }
      let limit = min(mtu, peer.configuration.mtu ?? mtu)
      guard let size = SegmentSplitter.largestPacket(packet, header), size > limit else { return peer }
      drops.count(.tooBig)
      if let answer = TooBig.answer(to: packet, mtu: limit) { writeToDevice(answer) }
      return nil
    }

    private func writeToDevice(_ packet: [UInt8]) {
      let bytes = [UInt8](repeating: 0, count: VirtioHeader.size) + packet
      if !device.write(bytes.rawBytes) { drops.count(.deviceFull) }
    }

    /// Sends the packet that was read, and those behind it that are for the same peer.
    private func send(to peer: TunnelPeer, at now: Int64) {
      guard let session = peer.session else { return hold(for: peer, at: now) }
      guard session.shard == 0 else { return handOver(to: peer, session, at: now) }
      var (packets, sent) = (0, 0)
      let begin = budget.spent
      do throws(UDPError) {
        let isSent = try session.sendMessagesNow { run throws(SendError) in
          repeat {
            packets += try append(to: &run, &sent)
          } while budget.spent - begin < Self.bytesPerRun && readPacket() && isForSame(peer)
        }
        if !isSent { waitForRoom(session) }
      } catch {
        // What was not sent waits for the next session.
        peer.session = nil
        hold(for: peer, at: now)
      }
      if packets > 0 { peer.noteSent(packets: packets, bytes: sent, at: now) }
    }

    /// Seals the packets that the one that was read comes to. Says how many these were, and adds their bytes.
    private func append(to run: inout SendRun, _ sent: inout Int) throws(SendError) -> Int {
      defer { packetSize = 0 }
      var packets = 0
      var elements = buffer.mutableSpan
      var bytes = elements.mutableBytes
      var packet = bytes.slice(VirtioHeader.size..<VirtioHeader.size + packetSize)
      let isWhole = try splitter.split(&packet, header) { segment throws(SendError) in
        packets += 1
        sent += segment.byteCount
        try run.append(segment)
      }
      if !isWhole { drops.count(.malformed) }
      return packets
    }

    /// Whether the packet that was read is for this peer. If it is for nobody, it is dropped; if for another, it waits for its turn.
    private func isForSame(_ peer: TunnelPeer) -> Bool {
      guard let destination = destination() else {
        packetSize = 0
        return false
      }
      return destination === peer
    }

    /// The socket takes no more: what there is stays with the system until it does.
    private func waitForRoom(_ session: Session) {
      watch?.isReading = false
      let bound = NIOLoopBound(self, eventLoop: eventLoop)
      let resume: @Sendable () -> Void = { [eventLoop] in
        eventLoop.execute {
          bound.value.watch?.isReading = true
          bound.value.readDevice()
        }
      }
      // A writer's turn comes when there is room. It may not be queued, or never be called if the session ends: then a moment has to do.
      let isQueued = try? session.sendMessagesIfRoom(ofBytes: 0) { _ in resume() }
      if isQueued != true { eventLoop.scheduleTask(in: .milliseconds(1), resume) }
    }

    // MARK: Without a session here

    /// Keeps the packet until there is a session.
    private func hold(for peer: TunnelPeer, at now: Int64) {
      defer { packetSize = 0 }
      peer.lastDemand = now
      guard peer.configuration.endpoint != nil || peer.address != nil || peer.isDialing else {
        return drops.count(.noEndpoint)
      }
      let dropped = peer.waiting.append(Array(buffer[..<(VirtioHeader.size + packetSize)]))
      if dropped > 0 { drops.count(.queueFull, dropped) }
      dial(peer)
    }

    /// Has a session opened unless somebody is at it.
    func dial(_ peer: TunnelPeer) {
      guard !peer.isDialing else { return }
      peer.isDialing = true
      wanted.yield(peer.id)
    }

    /// Sends the packet that was read on another event loop's session.
    private func handOver(to peer: TunnelPeer, _ session: Session, at now: Int64) {
      let packet = Array(buffer[..<(VirtioHeader.size + packetSize)])
      packetSize = 0
      send([packet], to: peer, session, at: now)
    }

    /// Sends packets that were kept with their headers.
    func send(_ packets: [[UInt8]], to peer: TunnelPeer, _ session: Session, at now: Int64) {
      let bytes = packets.reduce(0) { $0 + $1.count }
      let drops = drops
      let isQueued = try? session.sendMessagesIfRoom(ofBytes: bytes) { run throws(SendError) in
        var splitter = SegmentSplitter()
        for packet in packets {
          guard let header = VirtioHeader(packet.rawBytes) else { continue }
          var packet = packet
          var elements = packet.mutableSpan
          var bytes = elements.mutableBytes
          var inner = bytes.slice(VirtioHeader.size..<bytes.byteCount)
          let isWhole = try splitter.split(&inner, header) { segment throws(SendError) in try run.append(segment) }
          if !isWhole { drops.count(.malformed) }
        }
      }
      if isQueued == true {
        peer.noteSent(packets: packets.count, bytes: bytes, at: now)
      } else {
        drops.count(.unsent, packets.count)
      }
    }
  }
#endif
