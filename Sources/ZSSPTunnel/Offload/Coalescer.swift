// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Joins packets of the same flow that come one after another to super-packets, so that the kernel's way to the application is gone once for
/// many, as it does itself with what network cards bring (generic receive offload).
///
/// A packet is joined only if its checksum is right, its headers say the same and it follows; so that cutting the super-packet again gives the same
/// packets. Packets of one flow leave in the order in which they came. Storage is made once.
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

  private var flows: [Flow?]
  private var storage: [[UInt8]]
  private var age: UInt64 = 0
  /// How many flows there are; most often none or one.
  private var open = 0
  private let abilities: Abilities

  init(_ abilities: Abilities) {
    self.abilities = abilities
    flows = Array(repeating: nil, count: Self.flowLimit)
    // The last is for packets that are given on as they are; in front of them the header stays empty.
    storage = (0...Self.flowLimit).map { _ in [UInt8](repeating: 0, count: Self.header + Self.sizeLimit) }
  }

  /// Takes a packet of 1…65535 bytes. What is ready is given to `write` with its header in front, before or after it.
  mutating func add(_ packet: RawSpan, _ write: (RawSpan) -> Void) {
    guard packet.byteCount <= Self.sizeLimit, let candidate = FlowPacket(packet) else { return pass(packet, write) }
    let index = open == 0 ? nil : flows.firstIndex { $0?.key == candidate.key }
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

  private func oldest() -> Int? {
    var (found, age) = (nil as Int?, UInt64.max)
    for index in flows.indices {
      if let flow = flows[index], flow.age < age { (found, age) = (index, flow.age) }
    }
    return found
  }

  private mutating func begin(_ packet: RawSpan, _ candidate: FlowPacket, _ write: (RawSpan) -> Void) {
    if open == Self.flowLimit, let index = oldest() { finish(index, write) }
    guard let index = flows.firstIndex(where: { $0 == nil }) else { return pass(packet, write) }
    storage[index].copy(packet, to: Self.header)
    age += 1
    flows[index] = Flow(
      key: candidate.key, packet: candidate, length: packet.byteCount,
      nextSequence: candidate.sequence &+ UInt32(candidate.payloadSize), age: age)
    open += 1
  }

  /// Appends a packet's payload if it fits. Says whether it did.
  private mutating func join(_ packet: RawSpan, _ candidate: FlowPacket, _ index: Int) -> Bool {
    guard let flow = flows[index], candidate.headerSize == flow.packet.headerSize,
      candidate.payloadSize <= flow.packet.payloadSize, flow.length + candidate.payloadSize <= Self.sizeLimit,
      !candidate.isTCP || candidate.sequence == flow.nextSequence,
      hasSameHeaders(packet, candidate, index)
    else { return false }
    let payload = packet.extracting(candidate.headerSize..<candidate.length)
    storage[index].copy(payload, to: Self.header + flow.length)
    flows[index]?.length += candidate.payloadSize
    flows[index]?.segments += 1
    flows[index]?.nextSequence &+= UInt32(candidate.payloadSize)
    if candidate.flags & FlowPacket.push != 0 {
      let place = Self.header + candidate.start + 13
      storage[index][place] |= FlowPacket.push
    }
    return true
  }

  // Functions of their own, in which nothing is written to the storage while it is held.

  private func hasSameHeaders(_ packet: RawSpan, _ candidate: FlowPacket, _ index: Int) -> Bool {
    let first = storage[index]
    return candidate.hasSameHeaders(packet, as: first.rawBytes.extracting(Self.header..<first.count))
  }

  private func give(_ index: Int, _ length: Int, _ write: (RawSpan) -> Void) {
    let bytes = storage[index]
    write(bytes.rawBytes.extracting(0..<Self.header + length))
  }

  /// Whether nothing can follow the packet that was joined last.
  private func isComplete(_ candidate: FlowPacket, _ index: Int) -> Bool {
    guard let flow = flows[index] else { return true }
    return candidate.payloadSize < flow.packet.payloadSize || candidate.flags & FlowPacket.push != 0
      || flow.segments == Self.segmentLimit || flow.length + flow.packet.payloadSize > Self.sizeLimit
  }

  /// Gives a packet on as it is.
  private mutating func pass(_ packet: RawSpan, _ write: (RawSpan) -> Void) {
    guard packet.byteCount <= Self.sizeLimit else { return }
    storage[Self.flowLimit].copy(packet, to: Self.header)
    give(Self.flowLimit, packet.byteCount, write)
  }

  private mutating func finish(_ index: Int, _ write: (RawSpan) -> Void) {
    guard let flow = flows[index].take() else { return }
    open -= 1
    storage[index].withMutableBytes { bytes in
      var header = VirtioHeader()
      if flow.segments > 1 {
        var packet = bytes.slice(Self.header..<Self.header + flow.length)
        header = Self.complete(&packet, flow.packet)
      }
      header.write(to: &bytes)
    }
    give(index, flow.length, write)
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
