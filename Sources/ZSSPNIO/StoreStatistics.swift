// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The requests to the ratchet store that the store answered.
public struct StoreStatistics: Sendable, Hashable {
  /// The kind of a request.
  public enum Operation: String, Sendable, Hashable, CaseIterable {
    /// Finds the peer of a fingerprint.
    case lookUp
    /// Reads the row of a peer.
    case load
    /// Replaces the row of a peer.
    case compareAndSwap
    /// Revokes a state of a peer.
    case revoke
  }

  /// Requests that the store could not execute.
  public internal(set) var failed: UInt64 = 0
  private var histograms: [Operation: LatencyHistogram] = [:]

  /// Makes statistics without requests.
  public init() {}

  /// The times from the call of the store to its answer, also of answers that came too late.
  public subscript(operation: Operation) -> LatencyHistogram { histograms[operation] ?? LatencyHistogram() }

  /// Adds an answer.
  mutating func record(_ operation: Operation, took duration: Duration, hasFailed: Bool) {
    histograms[operation, default: LatencyHistogram()].record(duration)
    if hasFailed { failed += 1 }
  }

  /// Returns the sum of the counters of two shards.
  func adding(_ other: StoreStatistics) -> StoreStatistics {
    var sum = self
    sum.failed += other.failed
    sum.histograms.merge(other.histograms) { $0.adding($1) }
    return sum
  }
}

extension StoreStatistics.Operation {
  init(_ request: StoreRequest) {
    switch request {
    case .lookUp: self = .lookUp
    case .load: self = .load
    case .compareAndSwap: self = .compareAndSwap
    case .revoke: self = .revoke
    }
  }
}
