// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// What decides whether a packet may join others of its flow in a super-packet.
struct FlowPacket {
  /// Flags of TCP.
  static let push: UInt8 = 0x08
  private static let acknowledgement: UInt8 = 0x10
  private static let mayNotFragment: UInt16 = 0x4000
  private static let tcp: UInt8 = 6
  private static let udp: UInt8 = 17

  /// Names a flow.
  struct Key: Equatable {
    let source: UInt128
    let destination: UInt128
    /// Both ports, the version and the protocol.
    let rest: UInt64
  }

  let key: Key
  let isV6: Bool
  let isTCP: Bool
  /// Where the header of TCP or UDP begins, and where the payload does.
  let start: Int
  let headerSize: Int
  let length: Int
  /// What fragments of the packet are known by; nil if it can have none.
  let identification: UInt16?
  /// TCP's place of the first byte.
  let sequence: UInt32
  let flags: UInt8
  /// Whether it may be joined with others if its checksum is right: it has payload, and nothing that concerns it alone.
  let isJoinable: Bool

  /// Reads a packet; nil if it is of no flow that could have super-packets.
  init?(_ packet: RawSpan) {
    guard packet.byteCount >= InnerPacket.v4HeaderSize + 8 else { return nil }
    isV6 = packet[byte: 0] >> 4 == 6
    let isWhole: Bool
    let transport: UInt8
    if isV6 {
      guard packet.byteCount >= InnerPacket.v6HeaderSize + 8 else { return nil }
      start = InnerPacket.v6HeaderSize
      (transport, isWhole, identification) = (packet[byte: 6], true, nil)
    } else {
      guard packet[byte: 0] == 0x45 else { return nil }
      start = InnerPacket.v4HeaderSize
      // All but the flag that forbids to fragment.
      let fragment = packet.load(UInt16.self, at: 6)
      (transport, isWhole) = (packet[byte: 9], fragment & ~Self.mayNotFragment == 0)
      identification = fragment & Self.mayNotFragment == 0 ? packet.load(UInt16.self, at: 4) : nil
    }
    guard isWhole, transport == Self.tcp || transport == Self.udp else { return nil }
    length = packet.byteCount
    isTCP = transport == Self.tcp
    key = Self.key(packet, start, isV6: isV6, transport)
    guard isTCP else {
      (headerSize, sequence, flags) = (start + 8, 0, 0)
      isJoinable =
        length > headerSize && Int(packet.load(UInt16.self, at: start + 4)) == length - start
        && packet.load(UInt16.self, at: start + 6) != 0
      return
    }
    guard length >= start + 20 else { return nil }
    headerSize = start + Int(packet[byte: start + 12] >> 4) * 4
    guard headerSize >= start + 20, headerSize <= length else { return nil }
    sequence = packet.load(UInt32.self, at: start + 4)
    flags = packet[byte: start + 13]
    isJoinable = length > headerSize && flags & ~Self.push == Self.acknowledgement
  }

  private static func key(_ packet: RawSpan, _ start: Int, isV6: Bool, _ transport: UInt8) -> Key {
    let ports = UInt64(packet.load(UInt32.self, at: start)) << 16
    let rest = ports | UInt64(transport) << 8 | (isV6 ? 6 : 4)
    if isV6 {
      return Key(source: packet.load(UInt128.self, at: 8), destination: packet.load(UInt128.self, at: 24), rest: rest)
    }
    return Key(
      source: UInt128(packet.load(UInt32.self, at: 12)), destination: UInt128(packet.load(UInt32.self, at: 16)),
      rest: rest)
  }

  var payloadSize: Int { length - headerSize }

  /// The identification that the packet has which comes so many after this one; nil where none has one.
  func identification(after packets: Int) -> UInt16? {
    identification.map { $0 &+ UInt16(truncatingIfNeeded: packets) }
  }

  /// Whether the checksum of TCP or UDP is right.
  func isIntact(_ packet: RawSpan) -> Bool {
    let pseudo = Checksum.pseudoHeader(
      packet, isV6: isV6, transport: isTCP ? Self.tcp : Self.udp, length: length - start)
    guard Checksum.folded(Checksum.sum(packet.extracting(start..<length), pseudo)) == 0xFFFF else { return false }
    return isV6 || Checksum.folded(Checksum.sum(packet.extracting(0..<start))) == 0xFFFF
  }

  /// Whether the headers of a packet say the same as those of the first of its flow, but for what differs between
  /// segments of one super-packet.
  func hasSameHeaders(_ packet: RawSpan, as first: RawSpan) -> Bool {
    func isSame(_ range: Range<Int>) -> Bool {
      for offset in range where packet[byte: offset] != first[byte: offset] { return false }
      return true
    }
    // Class of traffic, flow label; or type of service, whether to fragment, time to live.
    let isSameNetwork =
      isV6
      ? packet.load(UInt32.self, at: 0) == first.load(UInt32.self, at: 0) && isSame(7..<8)
      : isSame(0..<2) && isSame(6..<9)
    guard isSameNetwork else { return false }
    guard isTCP else { return true }
    // What is acknowledged, the header's size, the window, the urgent pointer and the options. The flags were looked at.
    return isSame(start + 8..<start + 13) && isSame(start + 14..<start + 16) && isSame(start + 18..<headerSize)
  }
}
