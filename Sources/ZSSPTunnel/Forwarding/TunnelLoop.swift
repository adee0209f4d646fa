// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOCore
  import Synchronization
  import ZSSP
  import ZSSPNIO

  /// Passes packets from the device to the sessions, and holds the session of each peer. Used on
  /// the event loop of the endpoint's first shard only.
  final class TunnelLoop {
    let eventLoop: any EventLoop
    let device: TunDevice
    let mtu: Int
    let policy: PathPolicy
    let drops: DropCounters
    /// The peers by number, as in the last table of ``PeerRegistry`` that ``adopt(_:)`` received.
    private(set) var peers: [Int: TunnelPeer] = [:]
    private var prefixes = PrefixTable()
    /// Sessions of removed peers, until they are closed.
    private var orphans: [Session] = []
    /// Sessions whose events are being read.
    var followed: Set<SessionPlace> = []
    /// Peers that need a session.
    let wanted: AsyncStream<Int>.Continuation

    private var watch: DescriptorWatch?
    private var ticker: RepeatedTask?
    private var networkWatch: NetworkWatch?
    /// The last packet that was read, with its virtio header; none while `packetSize` is 0.
    private var buffer = [UInt8](repeating: 0, count: VirtioHeader.size + 65_535)
    private var packetSize = 0
    private var header = VirtioHeader()
    /// The size in bytes of the largest packet in it, after segmentation.
    private var largestPacket = 0
    private var splitter = SegmentSplitter()
    private var queue = StandingQueue()
    private var moderation = InterruptModeration()
    /// The number of packets read since the device was last empty.
    private var readPackets = 0
    /// True if the device was read to its end in this turn.
    private var isEmpty = false
    /// True while the socket takes no more.
    private(set) var waitsForRoom = false
    /// True while packets are left to gather.
    private var isGathering = false

    private var budget = ReadBudget()
    private var onFailure: ((TunnelError) -> Void)?
    /// Returns the current time. Tests replace it.
    let clock: () -> Instant

    /// The maximum number of bytes read for one peer in one run.
    private static let bytesPerRun = 128 << 10

    /// Makes a loop. Must be called on the event loop.
    init(
      _ device: TunDevice, mtu: Int, policy: PathPolicy = PathPolicy(), on eventLoop: any EventLoop,
      drops: DropCounters, wanted: AsyncStream<Int>.Continuation, clock: @escaping () -> Instant = { TunnelClock.now }
    ) {
      self.device = device
      self.mtu = mtu
      self.policy = policy
      self.eventLoop = eventLoop
      self.drops = drops
      self.wanted = wanted
      self.clock = clock
    }

    // MARK: Peers

    /// Adopts a table of peers. Peers that stay keep their sessions.
    func adopt(_ table: PeerTable) {
      for (id, peer) in peers where table.configurations[id] == nil {
        peers[id] = nil
        if let session = peer.session { orphans.append(session) }
      }
      for (id, configuration) in table.configurations {
        if let peer = peers[id] {
          peer.adopt(configuration)
        } else {
          let path = PathMTUSearch(largest: policy.datagram, isSearching: policy.discovers)
          peers[id] = TunnelPeer(id: id, configuration, path: path)
        }
      }
      prefixes = table.prefixes
    }

    /// Removes and returns the sessions of removed peers. The caller closes them.
    func takeOrphans() -> [Session] {
      defer { orphans = [] }
      return orphans
    }

    /// Starts reading the device. `onFailure` is called once if the device can no longer be read.
    ///
    /// - Throws: The errors of ``DescriptorWatch``.
    func start(onFailure: @escaping (TunnelError) -> Void) throws {
      self.onFailure = onFailure
      watch = try DescriptorWatch(descriptor: device.descriptor, on: eventLoop) { [self] in deviceIsReadable() }
      let bound = NIOLoopBound(self, eventLoop: eventLoop)
      ticker = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in bound.value.tick() }
    }

    /// Starts to report that other programs may have removed something of the tunnel from the
    /// system's network.
    ///
    /// - Throws: The errors of ``NetworkWatch``.
    func watchNetwork(removed: @escaping () -> Void, failed: @escaping (SystemFailure) -> Void) throws {
      networkWatch = try NetworkWatch(device.name, on: eventLoop, removed: removed, failed: failed)
    }

    /// Stops reading.
    func stop() {
      watch?.end()
      watch = nil
      networkWatch?.end()
      networkWatch = nil
      ticker?.cancel()
      for peer in peers.values { _ = peer.takeSession() }
    }

    // MARK: From the device

    /// Reads packets up to a limit.
    private func readDevice() {
      guard let watch else { return }
      let now = clock()
      budget = ReadBudget()
      isEmpty = false
      isGathering = false
      if queue.drops(at: now), packetSize > 0 || readPacket() { dropLast(.queueStands) }
      while !budget.isSpent, !waitsForRoom, packetSize > 0 || readPacket() {
        if let peer = destination() { send(to: peer, at: now) }
      }
      guard !waitsForRoom else { return }
      if isEmpty {
        if moderation.emptied(packets: readPackets, at: clock()) { gather() }
        readPackets = 0
      }
      watch.isReading = !isGathering
    }

    /// Called when the device is readable. In a stream, other packets will follow soon.
    private func deviceIsReadable() {
      guard isEmpty, moderation.isClose else { return readDevice() }
      gather()
      watch?.isReading = false
    }

    /// Schedules reading the device after a pause.
    private func gather() {
      isGathering = true
      let bound = NIOLoopBound(self, eventLoop: eventLoop)
      eventLoop.scheduleTask(in: .nanoseconds(InterruptModeration.pause.nanoseconds)) {
        if bound.value.isGathering { bound.value.readDevice() }
      }
    }

    private func readPacket() -> Bool {
      do throws(TunnelError) {
        while !budget.isSpent, !isEmpty {
          guard let count = try device.read(into: &buffer) else {
            isEmpty = true
            queue.emptied()
            return false
          }
          readPackets += 1
          budget.spend(count)
          guard let header = VirtioHeader(buffer.rawBytes) else {
            drops.count(.malformed)
            continue
          }
          self.header = header
          packetSize = count - VirtioHeader.size
          return true
        }
      } catch {
        // Otherwise the system reports a readable device forever.
        watch?.end()
        watch = nil
        onFailure.take()?(error)
      }
      return false
    }

    /// Drops the current packet, and counts the packets in it, also for the peer that it was for.
    private func drop(_ reason: TunnelDropReason, of peer: TunnelPeer? = nil) {
      let buffer = buffer
      let packet = buffer.rawBytes.extracting(VirtioHeader.size..<VirtioHeader.size + packetSize)
      let count = SegmentSplitter.measure(packet, header: header).packets
      drops.count(reason, count)
      peer?.gauges.drops.count(reason, count)
      packetSize = 0
    }

    /// Drops the last packet of the current super-packet, or the current packet. One loss slows TCP
    /// down as well as the loss of 40 packets does, and costs one packet.
    private func dropLast(_ reason: TunnelDropReason) {
      var elements = buffer.mutableSpan
      var bytes = elements.mutableBytes
      var packet = bytes.slice(VirtioHeader.size..<VirtioHeader.size + packetSize)
      packetSize = SegmentSplitter.removeLast(from: &packet, header: header)
      drops.count(reason)
    }

    /// Returns the peer that the current packet is for. If it may not go there, drops it and
    /// returns nil.
    private func destination() -> TunnelPeer? {
      // Released at the end, before anything is read into the buffer again.
      let buffer = buffer
      let packet = buffer.rawBytes.extracting(VirtioHeader.size..<VirtioHeader.size + packetSize)
      guard let inner = InnerPacket(packet) else {
        drop(.malformed)
        return nil
      }
      guard let id = prefixes.value(for: inner.destination), let peer = peers[id] else {
        drop(.noPeer)
        return nil
      }
      let limit = limits(peer)[packet]
      let largest = SegmentSplitter.largestPacket(in: packet, header: header)
      largestPacket = largest ?? 0
      guard let size = largest, size > limit, !Fragmenter.mayCut(packet, limit: limit) else { return peer }
      drop(.tooBig, of: peer)
      if let answer = TooBig.answer(to: packet, mtu: limit) { writeToDevice(answer) }
      return nil
    }

    private func writeToDevice(_ packet: [UInt8]) {
      let bytes = [UInt8](repeating: 0, count: VirtioHeader.size) + packet
      if !device.write(bytes.rawBytes) { drops.count(.deviceFull) }
    }

    /// Sends the current packet, and those behind it that are for the same peer.
    private func send(to peer: TunnelPeer, at now: Instant) {
      guard let session = peer.session else { return hold(takePacket(), for: peer, at: now) }
      guard session.shard == 0 else { return send([takePacket()], to: peer, on: session, at: now) }
      var packets = 0
      var sent = 0
      var largest = 0
      let begin = budget.spent
      let treatment = treatment(peer)
      do throws(UDPError) {
        let isSent = try session.sendMessagesNow { run throws(SendError) in
          repeat {
            largest = max(largest, largestPacket)
            try append(to: &run, of: peer.gauges, treatment: treatment, packets: &packets, sent: &sent)
          } while budget.spent - begin < Self.bytesPerRun && readPacket() && destination() === peer
        }
        if !isSent { waitForRoom(session) }
      } catch {
        // What was not sent waits for the next session.
        peer.endSession(session.endReason, at: now)
        if packetSize > 0 { hold(takePacket(), for: peer, at: now) }
      }
      if packets > 0 { peer.recordSent(packets: packets, bytes: sent, largest: largest, at: now) }
    }

    /// Seals the packets of the current buffer, and counts them and their bytes.
    private func append(
      to run: inout SendRun, of gauges: PeerGauges, treatment: PacketTreatment, packets: inout Int, sent: inout Int
    ) throws(SendError) {
      defer { packetSize = 0 }
      var elements = buffer.mutableSpan
      var bytes = elements.mutableBytes
      var packet = bytes.slice(VirtioHeader.size..<VirtioHeader.size + packetSize)
      let all = SegmentSplitter.measure(packet.bytes, header: header).packets
      let before = packets
      let limit = treatment.apply(to: &packet, header: header, run: &run)
      do throws(SendError) {
        let isWhole = try splitter.split(&packet, header: header, limit: limit) { segment throws(SendError) in
          try run.append(segment)
          packets += 1
          sent += segment.byteCount
        }
        if !isWhole { drops.count(.malformed, of: gauges) }
      } catch {
        // The key is exhausted, and the session ends.
        drops.count(.unsent, max(0, all - (packets - before)), of: gauges)
        throw error
      }
    }

    /// Returns a copy of the current packet with its virtio header, and clears it.
    private func takePacket() -> [UInt8] {
      defer { packetSize = 0 }
      return Array(buffer[..<(VirtioHeader.size + packetSize)])
    }

    /// Stops reading until the socket takes more. All peers wait for the one socket, so it does not
    /// matter if the session that found it full ends.
    private func waitForRoom(_ session: Session) {
      waitsForRoom = true
      watch?.isReading = false
      let bound = NIOLoopBound(self, eventLoop: eventLoop)
      session.whenRoom {
        bound.value.waitsForRoom = false
        bound.value.readDevice()
      }
    }
  }
#endif
