// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Merges consecutive packets of a flow into super-packets, so that the kernel processes them once,
/// as it does with packets from network cards (generic receive offload).
///
/// A packet is merged only if its checksum is right, its headers match and it continues the flow,
/// so that segmenting the super-packet restores the same packets. The only exception is the
/// identification of an IPv4 packet that must not be fragmented, which has no meaning (RFC 6864,
/// section 4.1). In other packets it must count up from packet to packet, as segmentation sets it.
/// Packets of one flow keep their order. Storage is allocated once.
struct Coalescer {
  /// The kinds of super-packets that the kernel takes.
  struct Abilities {
    var tcp: Bool
    var udp: Bool
  }

  /// The maximum number of flows with a super-packet at once. For one more, the oldest is written.
  static let flowLimit = 8
  private static let sizeLimit = 65_535
  /// More segments are not worth their delay, and Linux does not take more for UDP.
  private static let segmentLimit = 64
  private static let header = VirtioHeader.size

  /// A growing super-packet. In its storage it follows the room for the virtio header.
  private struct Flow {
    var key: FlowPacket.Key
    var packet: FlowPacket
    var length: Int
    var segments = 1
    var nextSequence: UInt32
    /// The position in the order in which flows began.
    var age: UInt64
  }

  /// The storage of a super-packet. A class, so that writing does not copy it.
  private final class Slot {
    var flow: Flow?
    var storage = [UInt8](repeating: 0, count: Coalescer.header + Coalescer.sizeLimit)
  }

  private let slots: [Slot]
  /// Storage for packets that pass unchanged; their virtio header stays zero.
  private let passing = Slot()
  private var age: UInt64 = 0
  /// The number of flows, mostly 0 or 1.
  private var open = 0
  private let abilities: Abilities

  init(_ abilities: Abilities) {
    self.abilities = abilities
    slots = (0..<Self.flowLimit).map { _ in Slot() }
  }

  /// Takes a packet of 1…65535 bytes. Finished packets are given to `write` with a virtio header,
  /// before or after this one.
  mutating func add(_ packet: RawSpan, write: (RawSpan) -> Void) {
    guard packet.byteCount <= Self.sizeLimit, let candidate = FlowPacket(packet) else {
      return pass(packet, write: write)
    }
    let index = place(of: candidate.key)
    let isJoinable =
      candidate.isJoinable && (candidate.isTCP ? abilities.tcp : abilities.udp) && candidate.isIntact(packet)
    if let index, isJoinable, join(packet, candidate: candidate, index: index) {
      if isComplete(after: candidate, index: index) { finish(index, write: write) }
      return
    }
    if let index { finish(index, write: write) }
    guard isJoinable, candidate.flags & FlowPacket.push == 0 else { return pass(packet, write: write) }
    begin(packet, candidate: candidate, write: write)
  }

  /// Gives all unfinished super-packets to `write`, because nothing may wait for packets that may
  /// never come.
  mutating func flush(_ write: (RawSpan) -> Void) {
    guard open > 0 else { return }
    while let index = oldest() { finish(index, write: write) }
  }

  private func place(of key: FlowPacket.Key) -> Int? {
    guard open > 0 else { return nil }
    for index in slots.indices where slots[index].flow?.key == key { return index }
    return nil
  }

  private func freePlace() -> Int? {
    for index in slots.indices where slots[index].flow == nil { return index }
    return nil
  }

  private func oldest() -> Int? {
    var found = nil as Int?
    var age = UInt64.max
    for index in slots.indices {
      if let flow = slots[index].flow, flow.age < age {
        found = index
        age = flow.age
      }
    }
    return found
  }

  private mutating func begin(_ packet: RawSpan, candidate: FlowPacket, write: (RawSpan) -> Void) {
    if open == Self.flowLimit, let index = oldest() { finish(index, write: write) }
    guard let index = freePlace() else { return pass(packet, write: write) }
    slots[index].storage.copy(packet, to: Self.header)
    age += 1
    slots[index].flow = Flow(
      key: candidate.key, packet: candidate, length: packet.byteCount,
      nextSequence: candidate.sequence &+ UInt32(candidate.payloadSize), age: age)
    open += 1
  }

  /// Appends a packet's payload, and returns true, if it fits.
  private mutating func join(_ packet: RawSpan, candidate: FlowPacket, index: Int) -> Bool {
    guard let flow = slots[index].flow, candidate.headerSize == flow.packet.headerSize,
      candidate.payloadSize <= flow.packet.payloadSize, flow.length + candidate.payloadSize <= Self.sizeLimit,
      !candidate.isTCP || candidate.sequence == flow.nextSequence,
      candidate.identification == flow.packet.identification(after: flow.segments),
      hasSameHeaders(packet, candidate: candidate, index: index)
    else { return false }
    let payload = packet.extracting(candidate.headerSize..<candidate.length)
    slots[index].storage.copy(payload, to: Self.header + flow.length)
    slots[index].flow?.length += candidate.payloadSize
    slots[index].flow?.segments += 1
    slots[index].flow?.nextSequence &+= UInt32(candidate.payloadSize)
    if candidate.flags & FlowPacket.push != 0 {
      let place = Self.header + candidate.start + 13
      slots[index].storage[place] |= FlowPacket.push
    }
    return true
  }

  // Separate functions, so that the storage is not written to while it is borrowed.

  private func hasSameHeaders(_ packet: RawSpan, candidate: FlowPacket, index: Int) -> Bool {
    let first = slots[index].storage
    return candidate.hasSameHeaders(packet, as: first.rawBytes.extracting(Self.header..<first.count))
  }

  private func give(_ slot: Slot, length: Int, write: (RawSpan) -> Void) {
    let bytes = slot.storage
    write(bytes.rawBytes.extracting(0..<Self.header + length))
  }

  /// Returns true if no packet can follow the one that was appended last.
  private func isComplete(after candidate: FlowPacket, index: Int) -> Bool {
    guard let flow = slots[index].flow else { return true }
    return candidate.payloadSize < flow.packet.payloadSize || candidate.flags & FlowPacket.push != 0
      || flow.segments == Self.segmentLimit || flow.length + flow.packet.payloadSize > Self.sizeLimit
  }

  /// Writes a packet unchanged.
  private mutating func pass(_ packet: RawSpan, write: (RawSpan) -> Void) {
    guard packet.byteCount <= Self.sizeLimit else { return }
    passing.storage.copy(packet, to: Self.header)
    give(passing, length: packet.byteCount, write: write)
  }

  private mutating func finish(_ index: Int, write: (RawSpan) -> Void) {
    guard let flow = slots[index].flow.take() else { return }
    open -= 1
    slots[index].storage.withMutableBytes { bytes in
      var header = VirtioHeader()
      if flow.segments > 1 {
        var packet = bytes.slice(Self.header..<Self.header + flow.length)
        header = Self.complete(&packet, first: flow.packet)
      }
      header.write(to: &bytes)
    }
    give(slots[index], length: flow.length, write: write)
  }

  /// Writes the lengths of a super-packet and its pseudo-header checksum, and returns the virtio
  /// header.
  private static func complete(_ packet: inout MutableRawSpan, first: FlowPacket) -> VirtioHeader {
    let length = packet.byteCount
    let start = first.start
    if first.isV6 {
      packet.store(UInt16(truncatingIfNeeded: length - InnerPacket.v6HeaderSize), at: 4)
    } else {
      packet.store(UInt16(truncatingIfNeeded: length), at: 2)
      Checksum.completeHeader(&packet, size: start)
    }
    if !first.isTCP { packet.store(UInt16(truncatingIfNeeded: length - start), at: start + 4) }
    var header = VirtioHeader()
    header.isPartial = true
    header.segmentation = first.isTCP ? (first.isV6 ? .tcp6 : .tcp4) : .udp
    header.headerSize = first.headerSize
    header.segmentSize = first.payloadSize
    header.checksumStart = start
    header.checksumOffset = first.isTCP ? 16 : 6
    let pseudo = Checksum.pseudoHeader(
      packet.bytes, isV6: first.isV6, transport: first.isTCP ? 6 : 17, length: length - start)
    packet.storeBytes(of: Checksum.folded(pseudo), toByteOffset: start + header.checksumOffset, as: UInt16.self)
    return header
  }
}
