// SPDX-License-Identifier: Apache-2.0

/// Packets that wait for a session, within bounds. The oldest leaves for the newest: who sent it has given up first.
struct PacketQueue {
  /// Bytes and packets that are kept.
  static let byteLimit = 256 << 10
  static let packetLimit = 128

  private(set) var packets: [[UInt8]] = []
  private var byteCount = 0

  var isEmpty: Bool { packets.isEmpty }

  /// Adds a packet. Says how many had to leave.
  mutating func append(_ packet: [UInt8]) -> Int {
    packets.append(packet)
    byteCount += packet.count
    var dropped = 0
    while packets.count > Self.packetLimit || (byteCount > Self.byteLimit && packets.count > 1) {
      byteCount -= packets.removeFirst().count
      dropped += 1
    }
    return dropped
  }

  /// Takes out everything.
  mutating func takeAll() -> [[UInt8]] {
    defer { (packets, byteCount) = ([], 0) }
    return packets
  }
}
