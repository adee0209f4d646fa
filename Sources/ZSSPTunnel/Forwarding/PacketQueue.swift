// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Packets that wait for a session, within bounds. The oldest leaves for the newest: who sent it has given up first. A super-packet waits
/// and leaves as one, and counts as the packets that it stands for.
struct PacketQueue {
  /// Bytes, and packets or super-packets, that are kept.
  static let byteLimit = 256 << 10
  static let limit = 128

  /// The packets, each with its header in front.
  private(set) var packets: [[UInt8]] = []
  private var byteCount = 0

  var isEmpty: Bool { packets.isEmpty }
  /// How many packets there are when super-packets are cut.
  var packetCount: Int { packets.reduce(0) { $0 + Self.count($1) } }

  /// Adds a packet with its header in front. Says how many had to leave.
  mutating func append(_ packet: [UInt8]) -> Int {
    packets.append(packet)
    byteCount += packet.count
    var dropped = 0
    while packets.count > Self.limit || (byteCount > Self.byteLimit && packets.count > 1) {
      let oldest = packets.removeFirst()
      byteCount -= oldest.count
      dropped += Self.count(oldest)
    }
    return dropped
  }

  private static func count(_ packet: [UInt8]) -> Int { SegmentSplitter.measure(packet.rawBytes).packets }

  /// Takes out everything.
  mutating func takeAll() -> [[UInt8]] {
    defer { (packets, byteCount) = ([], 0) }
    return packets
  }
}
