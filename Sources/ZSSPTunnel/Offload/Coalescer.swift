// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Joins packets of the same flow that come one after another to super-packets, so that the kernel's way to the application is gone once for
/// many, as it does itself with what network cards bring (generic receive offload).
///
/// A packet is joined only if its checksum is right, its headers say the same and it follows; so that cutting the super-packet again gives the same
/// packets. Only the identification of an IPv4 packet that may not be fragmented may come out as another: it means nothing (RFC 6864, section
/// 4.1), while of others it must count up from packet to packet, as whoever cuts has it. Packets of one flow leave in the order in which they
/// came. Storage is made once.
struct Coalescer {
  /// What can be made of packets, by what the kernel takes.
  struct Abilities {
    var tcp: Bool
    var udp: Bool
  }

  /// As many flows as have super-packets at once; with one more the oldest leaves.
  static let flowLimit = 8
  private static let sizeLimit = 65_535
  /// More segments than these are not worth their delay, and Linux takes no more of UDP.
  private static let segmentLimit = 64
  private static let header = VirtioHeader.size

  /// A super-packet that grows. Its bytes lie behind the room for the header in its storage.
  private struct Flow {
    var key: FlowPacket.Key
    var packet: FlowPacket
    var length: Int
    var segments = 1
    var nextSequence: UInt32
    /// The order in which flows began.
    var age: UInt64
  }

  /// A place for a super-packet. An object, so that nothing is copied to write to its storage.
  private final class Slot {
    var flow: Flow?
    var storage = [UInt8](repeating: 0, count: Coalescer.header + Coalescer.sizeLimit)
  }

  private let slots: [Slot]
  /// For packets that are given on as they are; in front of them the header stays empty.
  private let passing = Slot()
  private var age: UInt64 = 0
  /// How many flows there are; most often none or one.
  private var open = 0
  private let abilities: Abilities

  init(_ abilities: Abilities) {
    self.abilities = abilities
    slots = (0..<Self.flowLimit).map { _ in Slot() }
  }

  /// Takes a packet of 1…65535 bytes. What is ready is given to `write` with its header in front, before or after it.
  mutating func add(_ packet: RawSpan, _ write: (RawSpan) -> Void) {
    guard packet.byteCount <= Self.sizeLimit, let candidate = FlowPacket(packet) else { return pass(packet, write) }
    let index = place(of: candidate.key)
    let isJoinable =
      candidate.isJoinable && (candidate.isTCP ? abilities.tcp : abilities.udp) && candidate.isIntact(packet)
    if let index, isJoinable, join(packet, candidate, index) {
      if isComplete(candidate, index) { finish(index, write) }
      return
    }
    if let index { finish(index, write) }
    guard isJoinable, candidate.flags & FlowPacket.push == 0 else { return pass(packet, write) }
    begin(packet, candidate, write)
  }

  /// Gives everything that is left to `write`. Nothing may wait for packets that may never come.
  mutating func flush(_ write: (RawSpan) -> Void) {
    guard open > 0 else { return }
    while let index = oldest() { finish(index, write) }
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
    var (found, age) = (nil as Int?, UInt64.max)
    for index in slots.indices {
      if let flow = slots[index].flow, flow.age < age { (found, age) = (index, flow.age) }
    }
    return found
  }

  private mutating func begin(_ packet: RawSpan, _ candidate: FlowPacket, _ write: (RawSpan) -> Void) {
    if open == Self.flowLimit, let index = oldest() { finish(index, write) }
    guard let index = freePlace() else { return pass(packet, write) }
    slots[index].storage.copy(packet, to: Self.header)
    age += 1
    slots[index].flow = Flow(
      key: candidate.key, packet: candidate, length: packet.byteCount,
      nextSequence: candidate.sequence &+ UInt32(candidate.payloadSize), age: age)
    open += 1
  }

  /// Appends a packet's payload if it fits. Says whether it did.
  private mutating func join(_ packet: RawSpan, _ candidate: FlowPacket, _ index: Int) -> Bool {
    guard let flow = slots[index].flow, candidate.headerSize == flow.packet.headerSize,
      candidate.payloadSize <= flow.packet.payloadSize, flow.length + candidate.payloadSize <= Self.sizeLimit,
      !candidate.isTCP || candidate.sequence == flow.nextSequence,
      candidate.identification == flow.packet.identification(after: flow.segments),
      hasSameHeaders(packet, candidate, index)
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

  // Functions of their own, in which nothing is written to the storage while it is held.

  private func hasSameHeaders(_ packet: RawSpan, _ candidate: FlowPacket, _ index: Int) -> Bool {
    let first = slots[index].storage
    return candidate.hasSameHeaders(packet, as: first.rawBytes.extracting(Self.header..<first.count))
  }

  private func give(_ slot: Slot, _ length: Int, _ write: (RawSpan) -> Void) {
    let bytes = slot.storage
    write(bytes.rawBytes.extracting(0..<Self.header + length))
  }

  /// Whether nothing can follow the packet that was joined last.
  private func isComplete(_ candidate: FlowPacket, _ index: Int) -> Bool {
    guard let flow = slots[index].flow else { return true }
    return candidate.payloadSize < flow.packet.payloadSize || candidate.flags & FlowPacket.push != 0
      || flow.segments == Self.segmentLimit || flow.length + flow.packet.payloadSize > Self.sizeLimit
  }

  /// Gives a packet on as it is.
  private mutating func pass(_ packet: RawSpan, _ write: (RawSpan) -> Void) {
    guard packet.byteCount <= Self.sizeLimit else { return }
    passing.storage.copy(packet, to: Self.header)
    give(passing, packet.byteCount, write)
  }

  private mutating func finish(_ index: Int, _ write: (RawSpan) -> Void) {
    guard let flow = slots[index].flow.take() else { return }
    open -= 1
    slots[index].storage.withMutableBytes { bytes in
      var header = VirtioHeader()
      if flow.segments > 1 {
        var packet = bytes.slice(Self.header..<Self.header + flow.length)
        header = Self.complete(&packet, flow.packet)
      }
      header.write(to: &bytes)
    }
    give(slots[index], flow.length, write)
  }

  /// Writes the lengths of a super-packet and the part of its checksum that the kernel wants, and says how to cut it.
  private static func complete(_ packet: inout MutableRawSpan, _ first: FlowPacket) -> VirtioHeader {
    let (length, start) = (packet.byteCount, first.start)
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
