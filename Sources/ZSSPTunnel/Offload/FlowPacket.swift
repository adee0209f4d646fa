// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The properties of a packet that decide whether it can be merged with others of its flow.
struct FlowPacket {
  /// A flag of TCP.
  static let push: UInt8 = 0x08
  private static let acknowledgement: UInt8 = 0x10
  private static let mayNotFragment: UInt16 = 0x4000
  private static let tcp: UInt8 = 6
  private static let udp: UInt8 = 17

  /// Identifies a flow.
  struct Key: Equatable {
    let source: UInt128
    let destination: UInt128
    /// Both ports, the version and the protocol.
    let rest: UInt64
  }

  let key: Key
  let isV6: Bool
  let isTCP: Bool
  /// The offset of the TCP or UDP header.
  let start: Int
  let headerSize: Int
  let length: Int
  /// The identification for fragments; nil if the packet must not be fragmented.
  let identification: UInt16?
  /// TCP's sequence number.
  let sequence: UInt32
  let flags: UInt8
  /// True if the packet may be merged when its checksum is right: it has payload, and no flags that
  /// concern it alone.
  let isJoinable: Bool

  /// Parses a packet; nil if its flow cannot have super-packets.
  init?(_ packet: RawSpan) {
    guard packet.byteCount >= InnerPacket.v4HeaderSize + 8 else { return nil }
    isV6 = packet[byte: 0] >> 4 == 6
    let isWhole: Bool
    let transport: UInt8
    if isV6 {
      guard packet.byteCount >= InnerPacket.v6HeaderSize + 8 else { return nil }
      start = InnerPacket.v6HeaderSize
      transport = packet[byte: 6]
      isWhole = true
      identification = nil
    } else {
      guard packet[byte: 0] == 0x45 else { return nil }
      start = InnerPacket.v4HeaderSize
      // All bits except the flag "don't fragment".
      let fragment = packet.load(UInt16.self, at: 6)
      transport = packet[byte: 9]
      isWhole = fragment & ~Self.mayNotFragment == 0
      identification = fragment & Self.mayNotFragment == 0 ? packet.load(UInt16.self, at: 4) : nil
    }
    guard isWhole, transport == Self.tcp || transport == Self.udp else { return nil }
    length = packet.byteCount
    isTCP = transport == Self.tcp
    key = Self.key(of: packet, start: start, isV6: isV6, transport: transport)
    guard isTCP else {
      headerSize = start + 8
      sequence = 0
      flags = 0
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

  private static func key(of packet: RawSpan, start: Int, isV6: Bool, transport: UInt8) -> Key {
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

  /// Returns the identification that the packet with this distance in the flow must have; nil if
  /// none has one.
  func identification(after packets: Int) -> UInt16? {
    identification.map { $0 &+ UInt16(truncatingIfNeeded: packets) }
  }

  /// Returns true if the checksums of the packet are right.
  func isIntact(_ packet: RawSpan) -> Bool {
    let pseudo = Checksum.pseudoHeader(
      packet, isV6: isV6, transport: isTCP ? Self.tcp : Self.udp, length: length - start)
    guard Checksum.folded(Checksum.sum(packet.extracting(start..<length), initial: pseudo)) == 0xFFFF else {
      return false
    }
    return isV6 || Checksum.folded(Checksum.sum(packet.extracting(0..<start))) == 0xFFFF
  }

  /// Returns true if the headers of a packet equal those of its flow's first packet, except for the
  /// fields that differ between segments of one super-packet.
  func hasSameHeaders(_ packet: RawSpan, as first: RawSpan) -> Bool {
    func isSame(_ range: Range<Int>) -> Bool {
      for offset in range where packet[byte: offset] != first[byte: offset] { return false }
      return true
    }
    // IPv6: traffic class, flow label, next header, hop limit. IPv4: type of service,
    // fragmentation, time to live, protocol.
    let isSameNetwork =
      isV6
      ? packet.load(UInt32.self, at: 0) == first.load(UInt32.self, at: 0) && isSame(7..<8)
      : isSame(0..<2) && isSame(6..<9)
    guard isSameNetwork else { return false }
    guard isTCP else { return true }
    // The acknowledgement number, header size, window, urgent pointer and options. The flags were
    // checked before.
    return isSame(start + 8..<start + 13) && isSame(start + 14..<start + 16) && isSame(start + 18..<headerSize)
  }
}
