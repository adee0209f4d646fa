// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import ZSSP

/// Datagrams that one shard hands over to another. The queue is short, because strangers can cause
/// them.
final class CrossShardQueue: Sendable {
  /// A copy of a datagram.
  struct Datagram: Sendable {
    let bytes: [UInt8]
    let source: Address
    /// The own address that it came to; nil if that is not known.
    let own: OwnAddress?
    let trafficClass: UInt8
  }

  /// The outcome of an append.
  enum Outcome {
    /// The datagram waits, and the shard was told of earlier ones.
    case queued
    /// The datagram waits, and the shard must be told.
    case queuedFirst
    /// The queue was full.
    case dropped
  }

  private struct State {
    var datagrams: [Datagram] = []
    var byteCount = 0
    var isAnnounced = false
  }

  private let state = NIOLockedValueBox(State())
  private let limit: Int
  private let byteLimit: Int

  /// Makes an empty queue.
  ///
  /// - Parameters:
  ///   - limit: The maximum number of datagrams.
  ///   - byteLimit: The maximum of their total size in bytes.
  init(limit: Int = 1024, byteLimit: Int = 1 << 20) {
    self.limit = limit
    self.byteLimit = byteLimit
  }

  /// Puts a datagram in if there is room.
  func append(
    _ bytes: UnsafeMutableRawBufferPointer, from source: Address, at own: OwnAddress? = nil, trafficClass: UInt8 = 0
  ) -> Outcome {
    state.withLockedValue { state in
      guard state.datagrams.count < limit, state.byteCount + bytes.count <= byteLimit else { return .dropped }
      state.byteCount += bytes.count
      state.datagrams.append(Datagram(bytes: Array(bytes), source: source, own: own, trafficClass: trafficClass))
      defer { state.isAnnounced = true }
      return state.isAnnounced ? .queued : .queuedFirst
    }
  }

  /// Removes and returns all datagrams.
  func take() -> [Datagram] {
    state.withLockedValue { state in
      defer { state = State() }
      return state.datagrams
    }
  }
}
