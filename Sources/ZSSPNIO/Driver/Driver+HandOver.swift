// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Datagrams that arrive at a shard other than their own: where the system does not steer, and
/// challenges, which steering takes for Hellos.
extension Driver {
  /// Processes the datagrams of this shard, neighbours together, and copies the others to their
  /// shards' queues.
  func handOver(
    _ bytes: UnsafeMutableRawBufferPointer, segmentSize: Int, from source: Address, trafficClass: UInt8
  ) {
    guard let siblings, !bytes.isEmpty else {
      return take(bytes, segmentSize: segmentSize, from: source, trafficClass: trafficClass)
    }
    var own = 0
    var start = 0
    func takeOwn() {
      guard own < start else { return }
      take(
        UnsafeMutableRawBufferPointer(rebasing: bytes[own..<start]), segmentSize: segmentSize, from: source,
        trafficClass: trafficClass)
    }
    while start < bytes.count {
      let end = min(start + segmentSize, bytes.count)
      let datagram = UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end])
      let keyID = KeyID(addressee: RawSpan(_unsafeBytes: UnsafeRawBufferPointer(datagram)))
      if let other = keyID?.shard(of: siblings.shards.count), other != shard {
        takeOwn()
        own = end
        give(datagram, from: source, trafficClass: trafficClass, to: siblings.shards[other])
      }
      start = end
    }
    takeOwn()
  }

  private func give(
    _ datagram: UnsafeMutableRawBufferPointer, from source: Address, trafficClass: UInt8, to shard: ShardHandle
  ) {
    let own = socket.port?.ownAddress(source.localIndex)
    switch shard.handOvers.append(datagram, from: source, at: own, trafficClass: trafficClass) {
    case .queued: counted.handedOver += 1
    case .queuedFirst:
      counted.handedOver += 1
      shard.tell { driver in driver.take(shard.handOvers.take()) }
    case .dropped: counted.handOversDropped += 1
    }
  }

  private func take(_ datagrams: [CrossShardQueue.Datagram]) {
    guard !isClosed else { return }
    for datagram in datagrams {
      var bytes = datagram.bytes
      // [DEC-86]
      let source = datagram.source.reached(at: datagram.own.flatMap { socket.port?.localIndex(of: $0) } ?? 0)
      bytes.withUnsafeMutableBytes {
        take($0, segmentSize: $0.count, from: source, trafficClass: datagram.trafficClass)
      }
    }
    inboxes.endBurst()
    pump()
  }
}
