// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Datagrams that come to another shard than theirs, where the system does not steer them.
extension Driver {
  /// Takes the datagrams that are for this shard, and gives copies of the others to theirs.
  func handOver(_ bytes: UnsafeMutableRawBufferPointer, segmentSize: Int, from source: Address) {
    guard let siblings, !bytes.isEmpty else { return take(bytes, segmentSize: segmentSize, from: source) }
    let own = endpoint.configuration.settings.shard.index
    var start = 0
    while start < bytes.count {
      let end = min(start + segmentSize, bytes.count)
      defer { start = end }
      let datagram = UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end])
      let shard = Self.shard(of: datagram, siblings.shards.count)
      guard let shard, shard != own else {
        take(datagram, segmentSize: datagram.count, from: source)
        continue
      }
      let copy = Array(datagram)
      siblings.shards[shard].tell { driver in driver.takeHandedOver(copy, from: source) }
    }
  }

  /// The shard whose key id stands in front; nil for a Hello and for what is too short to have one.
  private static func shard(of datagram: UnsafeMutableRawBufferPointer, _ count: Int) -> Int? {
    guard datagram.count >= 4 else { return nil }
    let keyID = UInt32(bigEndian: datagram.loadUnaligned(as: UInt32.self))
    return keyID == 0 ? nil : Int(keyID) & (count - 1)
  }

  private func takeHandedOver(_ datagram: [UInt8], from source: Address) {
    guard !isClosed else { return }
    var datagram = datagram
    datagram.withUnsafeMutableBytes { take($0, segmentSize: $0.count, from: source) }
    deliverBurst()
    pump()
  }
}
