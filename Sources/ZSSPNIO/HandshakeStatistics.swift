// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// The handshakes that the application waited for, by role and outcome, with the time from
/// `connect` or `accept` to their end.
public struct HandshakeStatistics: Sendable, Hashable {
  /// The end of a handshake.
  public enum Outcome: String, Sendable, Hashable, CaseIterable {
    /// A session exists.
    case established
    /// The peer did not answer in time, or did not prove its key in time.
    case timedOut
    /// The peer refused this side's key or identity.
    case refused
    /// The application stopped waiting, or closed the endpoint.
    case cancelled
    /// Something else ended it: a conflict of ratchets, the store, the socket.
    case failed
  }

  private struct Key: Hashable {
    let isResponder: Bool
    let outcome: Outcome
  }

  private var histograms: [Key: LatencyHistogram] = [:]

  /// Makes statistics without handshakes.
  public init() {}

  /// The handshakes of this role with this outcome.
  public subscript(role: Role, outcome: Outcome) -> LatencyHistogram {
    histograms[Key(isResponder: role == .responder, outcome: outcome)] ?? LatencyHistogram()
  }

  /// Adds a handshake.
  mutating func record(_ record: HandshakeRecord) {
    let key = Key(isResponder: record.role == .responder, outcome: record.outcome)
    histograms[key, default: LatencyHistogram()].record(record.duration)
  }
}

extension HandshakeStatistics.Outcome {
  /// The outcome of a call of `connect` or `accept`.
  init(_ result: Result<EstablishedSession, UDPError>) {
    switch result {
    case .success: self = .established
    case .failure(.timeout), .failure(.expired): self = .timedOut
    case .failure(.rejected): self = .refused
    case .failure(.cancelled), .failure(.closed): self = .cancelled
    case .failure: self = .failed
    }
  }
}
