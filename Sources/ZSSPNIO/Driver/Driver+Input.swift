// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Incoming datagrams.
extension Driver {
  func receive(
    _ bytes: UnsafeMutableRawBufferPointer, segmentSize: Int, from source: Address?, isSteered: Bool,
    trafficClass: UInt8
  ) {
    guard !isClosed else { return }
    // The system refuses to send to port 0, and NIO closes a socket that fails to send.
    guard let source, source.port != 0 else {
      counted.unusableSources += 1
      return
    }
    let isSuper = segmentSize > 0 && segmentSize < bytes.count
    // The kernel steers a super-datagram by its first datagram only.
    if siblings == nil || isSteered && !isSuper {
      take(bytes, segmentSize: isSuper ? segmentSize : bytes.count, from: source, trafficClass: trafficClass)
    } else {
      handOver(bytes, segmentSize: isSuper ? segmentSize : bytes.count, from: source, trafficClass: trafficClass)
    }
  }

  /// Gives datagrams of this shard to its endpoint.
  func take(
    _ bytes: UnsafeMutableRawBufferPointer, segmentSize: Int, from source: Address, trafficClass: UInt8
  ) {
    loggingDrops(from: source) {
      takeUnwatched(bytes, segmentSize: segmentSize, from: source, trafficClass: trafficClass)
    }
  }

  /// Calls `body`, and logs what it drops: datagrams of one sender, or packets that turn out to be
  /// useless after public-key work or a look into the store; then `source` is nil.
  func loggingDrops(from source: Address?, _ body: () -> Void) {
    guard logsDrops else { return body() }
    let before = endpoint.statistics
    body()
    let after = endpoint.statistics
    guard after.dropped != before.dropped else { return }
    for reason in DropReason.allCases where after[reason] != before[reason] {
      environment.log?.dropped(reason, count: after[reason] - before[reason], from: source, at: now)
    }
  }

  private func takeUnwatched(
    _ bytes: UnsafeMutableRawBufferPointer, segmentSize: Int, from source: Address, trafficClass: UInt8
  ) {
    let now = now
    var datagrams = MutableRawSpan(_unsafeBytes: bytes)
    // An empty datagram counts, too.
    guard !bytes.isEmpty else { return _ = endpoint.receive(&datagrams, from: source, at: now) }
    endpoint.receive(burst: &datagrams, segmentSize: segmentSize, from: source, at: now)
    for delivery in endpoint.inbox { inboxes.append(delivery, of: datagrams.bytes, trafficClass: trafficClass) }
    endpoint.inbox.removeAll(keepingCapacity: true)
  }

  func readComplete() {
    counted.readBursts += 1
    guard !isClosed else { return }
    inboxes.endBurst()
    pump()
  }

  /// Sets the handler that receives a session's messages from now on.
  ///
  /// - Returns: False if the session does not exist.
  func setHandler(_ handler: any MessageHandler, for id: SessionID) -> Bool {
    !isClosed && inboxes.setHandler(handler, for: id)
  }
}
