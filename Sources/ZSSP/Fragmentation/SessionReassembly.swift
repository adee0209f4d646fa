// SPDX-License-Identifier: Apache-2.0

/// The incomplete packets of one session or half-open handshake (section 5). Their headers were protected, so they
/// come from the peer, or repeat what the peer once sent.
///
/// Packets share slots by the low bits of their counters, and a newer counter evicts an older one. Nothing is allocated
/// while no packet is incomplete.
package struct SessionReassembly {
  /// What is held at most.
  package struct Limits: Sendable, Hashable {
    // [FRAG-13]
    /// The number of slots.
    package var packets = 64
    /// The bytes of all incomplete packets together.
    package var bytes = 1 << 20
    /// The bytes of one packet.
    package var packetBytes = Int.max
    // [DEC-9]
    /// Whether a fragment of a size that does not fit the others of its packet begins the packet
    /// anew, instead of being refused. It is for a packet that is sent again and again under one
    /// header, behind which others can forge the rest (section 14).
    package var beginsAnew = false
  }

  private let limits: Limits
  private let timeout: Duration
  /// The oldest first.
  private var packets: [PacketAssembly] = []
  /// The bytes that the incomplete packets take.
  package private(set) var bytes = 0

  package init(limits: Limits, timeout: Duration) {
    self.limits = limits
    self.timeout = timeout
  }

  /// How many packets are incomplete.
  package var count: Int { packets.count }
  /// When the oldest packet expires.
  package private(set) var nextDeadline: Instant?

  /// What became of a fragment.
  package enum Outcome {
    case stored
    case refused(DropReason)
    /// The packet, not opened.
    case complete([UInt8])
    /// The plaintext of a packet whose tag was right, and the stream that opened it.
    case opened([UInt8], any PacketStream)
  }

  /// Takes one fragment of several: `payload` with its header.
  ///
  /// - Parameter stream: asked at the first fragment of a packet for what opens it as the fragments come; nil if it shall not
  ///   be opened.
  package mutating func insert(
    _ header: FragmentHeader, _ payload: RawSpan, at now: Instant, openedBy stream: () -> (any PacketStream)? = { nil }
  ) -> Outcome {
    let slot = header.counter % UInt64(limits.packets)
    let holder = packets.firstIndex { $0.header.counter % UInt64(limits.packets) == slot }
    let index: Int
    let isPart = holder.map { packets[$0].isPart(header) } ?? false
    // [DEC-9]
    if let holder, isPart, !limits.beginsAnew || packets[holder].fits(header, payload) {
      index = holder
    } else {
      // [FRAG-14]
      if let holder, !isPart, packets[holder].header.counter >= header.counter { return .refused(.reassemblyFull) }
      let capacity = PacketAssembly.capacity(header, first: payload)
      // The limit of a packet may be Int.max, so nothing is added to it. What is too large disturbs nothing (section 5).
      // [FRAG-15]
      guard capacity - 2 * FragmentHeader.largestCount <= limits.packetBytes, capacity <= limits.bytes
      else { return .refused(.reassemblyFull) }
      if let holder { _ = remove(at: holder) }
      while bytes + capacity > limits.bytes { _ = remove(at: 0) }
      index = packets.count
      packets.append(PacketAssembly(header, first: payload, at: now, stream: stream()))
      bytes += capacity
      if index == 0 { noteDeadline() }
    }
    if let reason = packets[index].insert(header, payload) { return .refused(reason) }
    guard packets[index].isComplete else { return .stored }
    switch remove(at: index).finished() {
    case .packet(let packet): return packet.count <= limits.packetBytes ? .complete(packet) : .refused(.malformed)
    case .opened(let message, let stream): return .opened(message, stream)
    case .refused(let reason): return .refused(reason)
    }
  }

  // [FRAG-16]
  /// Drops what has been incomplete for too long.
  /// - Returns: how many packets were dropped.
  package mutating func expire(at now: Instant) -> Int {
    var expired = 0
    while let deadline = nextDeadline, deadline <= now {
      _ = remove(at: 0)
      expired += 1
    }
    return expired
  }

  // [DEC-39]
  /// Drops what came under a key that is given up, and with it what was to open it.
  mutating func removeAll(under keyID: KeyID) {
    for index in packets.indices.reversed() where packets[index].header.keyID == keyID { _ = remove(at: index) }
  }

  /// Drops the packet that was begun first.
  mutating func removeOldest() {
    if !packets.isEmpty { _ = remove(at: 0) }
  }

  /// Drops everything.
  package mutating func removeAll() {
    packets = []
    bytes = 0
    nextDeadline = nil
  }

  private mutating func remove(at index: Int) -> PacketAssembly {
    let packet = packets.remove(at: index)
    bytes -= packet.capacity
    if packets.isEmpty { packets = [] }
    if index == 0 { noteDeadline() }
    return packet
  }

  private mutating func noteDeadline() {
    nextDeadline = packets.isEmpty ? nil : packets[0].startedAt.advanced(by: timeout)
  }
}
