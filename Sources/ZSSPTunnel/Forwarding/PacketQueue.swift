// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A bounded queue of packets that wait for a session. The oldest is dropped for the newest,
/// because its sender gave up on it first. A super-packet waits and leaves as a whole, and counts
/// as the packets in it.
struct PacketQueue {
  /// The maximum number of bytes.
  static let byteLimit = 256 << 10
  static let limit = 128

  /// The packets, each with its virtio header.
  private(set) var packets: [[UInt8]] = []
  private var byteCount = 0

  var isEmpty: Bool { packets.isEmpty }
  /// The number of packets, counting those in super-packets.
  var packetCount: Int { packets.reduce(0) { $0 + Self.count($1) } }

  /// Adds a packet with its virtio header. Returns how many packets were dropped.
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

  /// Removes and returns all packets.
  mutating func takeAll() -> [[UInt8]] {
    defer {
      packets = []
      byteCount = 0
    }
    return packets
  }
}
