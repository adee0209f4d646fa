// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Datagrams that come to another shard than theirs: where the system does not steer, and challenges, which it takes for
/// Hellos.
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
      let keyID = KeyID(addressee: RawSpan(_unsafeBytes: UnsafeRawBufferPointer(datagram)))
      guard let shard = keyID?.shard(of: siblings.shards.count), shard != own else {
        take(datagram, segmentSize: datagram.count, from: source)
        continue
      }
      let copy = Array(datagram)
      siblings.shards[shard].tell { driver in driver.takeHandedOver(copy, from: source) }
    }
  }

  private func takeHandedOver(_ datagram: [UInt8], from source: Address) {
    guard !isClosed else { return }
    var datagram = datagram
    datagram.withUnsafeMutableBytes { take($0, segmentSize: $0.count, from: source) }
    deliverBurst()
    pump()
  }
}
