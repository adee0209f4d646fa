// SPDX-License-Identifier: Apache-2.0

/// The incomplete packets of one session or half-open handshake (section 5). Their headers were
/// protected, so they come from the peer or repeat what the peer once sent.
///
/// Packets share slots by the low bits of their counters, and a newer counter evicts an older one.
/// Nothing is allocated while no packet is incomplete. The fields are small, because each session
/// has one of these.
package struct SessionReassembly {
  /// The most that a holder may keep.
  package struct Limits: Sendable, Hashable {
    // [FRAG-13]
    /// The number of slots.
    package var packets = 64
    /// The bytes of all incomplete packets together.
    package var bytes = 1 << 20
    /// The bytes of one packet.
    package var packetBytes = Int.max
    // [DEC-9]
    /// True if a fragment whose size does not fit the others of its packet restarts the packet.
    /// With false it is refused. It is meant for a packet that is resent under one header, behind
    /// which others can forge the rest (section 14).
    package var beginsAnew = false
  }

  /// The incomplete packets, in order of arrival.
  private var packets: [PacketAssembly] = []
  /// The time when the oldest packet expires, if there is one.
  private var oldestExpiry = Instant.distantFuture
  /// The nanoseconds after which a packet expires.
  private let timeout: Int64
  private var usedBytes: UInt32 = 0
  private let byteLimit: UInt32
  private let packetByteLimit: UInt32
  private let packetLimit: UInt16
  private let beginsAnew: Bool

  /// Creates an object without packets. Limits larger than 4 GiB, or than 65,535 packets, count as
  /// these.
  package init(limits: Limits, timeout: Duration) {
    self.timeout = timeout.nanoseconds
    byteLimit = UInt32(clamping: limits.bytes)
    packetByteLimit = UInt32(clamping: limits.packetBytes)
    packetLimit = UInt16(clamping: limits.packets)
    beginsAnew = limits.beginsAnew
  }

  /// The number of incomplete packets.
  package var count: Int { packets.count }
  /// The bytes that the incomplete packets take.
  package var bytes: Int { Int(usedBytes) }
  /// The time when the oldest packet expires; nil if there is none.
  package var nextDeadline: Instant? { packets.isEmpty ? nil : oldestExpiry }

  /// The result of ``SessionReassembly/insert(_:payload:at:openedBy:)``.
  package enum Outcome {
    case stored
    case refused(DropReason)
    /// The packet, unopened.
    case complete([UInt8])
    /// The plaintext of a packet whose tag was right, and the stream that opened it.
    case opened([UInt8], any PacketStream)
  }

  /// Inserts one fragment of several: `payload` with its header.
  ///
  /// - Parameter stream: called at the first fragment of a packet; opens the packet as its
  ///   fragments arrive. Nil if it is not to be opened.
  package mutating func insert(
    _ header: FragmentHeader, payload: RawSpan, at now: Instant, openedBy stream: () -> (any PacketStream)? = { nil }
  ) -> Outcome {
    let slots = UInt64(packetLimit)
    let slot = header.counter % slots
    let holder = packets.firstIndex { $0.header.counter % slots == slot }
    let index: Int
    let isPart = holder.map { packets[$0].isPart(header) } ?? false
    // [DEC-9]
    if let holder, isPart, !beginsAnew || packets[holder].fits(header, payload: payload) {
      index = holder
    } else {
      // [FRAG-14]
      if let holder, !isPart, packets[holder].header.counter >= header.counter { return .refused(.reassemblyFull) }
      let capacity = PacketAssembly.capacity(header, first: payload)
      // A packet that is too large evicts nothing (section 5).
      // [FRAG-15]
      guard capacity - 2 * FragmentHeader.largestCount <= packetByteLimit, capacity <= byteLimit
      else { return .refused(.reassemblyFull) }
      if let holder { _ = remove(at: holder) }
      while bytes + capacity > byteLimit { _ = remove(at: 0) }
      index = packets.count
      packets.append(PacketAssembly(header, first: payload, at: now, stream: stream()))
      usedBytes += UInt32(capacity)
      if index == 0 { recordExpiry() }
    }
    if let reason = packets[index].insert(header, payload: payload) { return .refused(reason) }
    guard packets[index].isComplete else { return .stored }
    switch remove(at: index).finished() {
    case .packet(let packet): return packet.count <= packetByteLimit ? .complete(packet) : .refused(.malformed)
    case .opened(let message, let stream): return .opened(message, stream)
    case .refused(let reason): return .refused(reason)
    }
  }

  // [FRAG-16]
  /// Drops the packets that have been incomplete for too long.
  ///
  /// - Returns: the number of dropped packets.
  package mutating func expire(at now: Instant) -> Int {
    var expired = 0
    while let deadline = nextDeadline, deadline <= now {
      _ = remove(at: 0)
      expired += 1
    }
    return expired
  }

  // [DEC-39]
  /// Drops the packets that arrived under an erased key, and the streams that were to open them.
  mutating func removeAll(under keyID: KeyID) {
    for index in packets.indices.reversed() where packets[index].header.keyID == keyID { _ = remove(at: index) }
  }

  /// Drops the oldest packet.
  mutating func removeOldest() {
    if !packets.isEmpty { _ = remove(at: 0) }
  }

  /// Drops all packets.
  package mutating func removeAll() {
    packets = []
    usedBytes = 0
  }

  private mutating func remove(at index: Int) -> PacketAssembly {
    let packet = packets.remove(at: index)
    usedBytes -= UInt32(packet.capacity)
    if packets.isEmpty { packets = [] }
    if index == 0 { recordExpiry() }
    return packet
  }

  private mutating func recordExpiry() {
    if let oldest = packets.first { oldestExpiry = oldest.startedAt.advanced(by: .nanoseconds(timeout)) }
  }
}
