// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import ZSSP

/// Datagrams on their way from one shard to another. There are never many: anyone can send some that have to take it.
final class HandOverQueue: Sendable {
  /// A copy of a datagram.
  struct Datagram: Sendable {
    let bytes: [UInt8]
    let source: Address
    /// The own address that it came to; nil if that is not known.
    let own: OwnAddress?
    let trafficClass: UInt8
  }

  /// What became of a datagram.
  enum Outcome {
    /// It waits, and the shard knows that something does.
    case queued
    /// It waits, and the shard is to be told.
    case queuedFirst
    /// There was no room.
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

  /// An empty queue for so many datagrams of so many bytes together.
  init(limit: Int = 1024, byteLimit: Int = 1 << 20) { (self.limit, self.byteLimit) = (limit, byteLimit) }

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

  /// Takes out everything.
  func take() -> [Datagram] {
    state.withLockedValue { state in
      defer { state = State() }
      return state.datagrams
    }
  }
}
