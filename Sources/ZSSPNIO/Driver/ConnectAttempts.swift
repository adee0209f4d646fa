// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// What a session is opened with.
struct ConnectRequest: Sendable {
  let address: Address
  let key: PublicKey
  let identity: [UInt8]
  let flags: SecurityFlags?
  var timeout: Duration?
  /// How long to wait for a first answer, where there is another address to try; nil for as long as `timeout` lasts.
  var patience: Duration?
}

/// Calls of ``UDPEndpoint/connect(to:key:identity:flags:timeout:)-(SocketAddress,_,_,_,_)`` that wait for their session.
struct ConnectAttempts {
  /// The timers of an attempt, which end with it.
  struct Timers {
    /// Fires when the attempt has taken too long.
    var timeout: Scheduled<Void>?
    /// Fires when there should have been a first answer.
    var patience: Scheduled<Void>?
    /// Fires when the network is to be asked why there is none.
    var probe: Scheduled<Void>?

    func cancel() {
      for timer in [timeout, patience, probe] { timer?.cancel() }
    }
  }

  /// An attempt that is over.
  struct Ended {
    /// Whoever waits.
    let outcome: SessionOutcome
    /// What was seen of the peer.
    let seen: TimeoutCause
  }

  private struct Attempt {
    let outcome: SessionOutcome
    var timers: Timers
    var probe: ReachProbe?
    var seen = TimeoutCause.noAnswer
  }

  private var attempts: [SessionID: Attempt] = [:]

  /// Adds an attempt.
  mutating func begin(_ session: SessionID, for outcome: SessionOutcome, _ timers: Timers) {
    attempts[session] = Attempt(outcome: outcome, timers: timers)
  }

  /// Records what was seen of the peer of an attempt, if the session is one.
  mutating func record(_ seen: TimeoutCause, of session: SessionID) {
    guard let attempt = attempts[session] else { return }
    attempts[session]?.seen = attempt.seen.combined(with: seen)
  }

  /// Keeps a probe of the address of an attempt, if the session is one.
  mutating func setProbe(_ probe: ReachProbe?, of session: SessionID) { attempts[session]?.probe = probe }

  /// Replaces the timer for the first answer of an attempt, if the session is one.
  mutating func setPatience(_ timer: Scheduled<Void>, of session: SessionID) {
    guard attempts[session] != nil else { return timer.cancel() }
    attempts[session]?.timers.patience = timer
  }

  /// Whether the session is an attempt.
  func contains(_ session: SessionID) -> Bool { attempts[session] != nil }

  /// Ends an attempt; nil if the session is none.
  mutating func end(_ session: SessionID) -> Ended? {
    guard let attempt = attempts.removeValue(forKey: session) else { return nil }
    attempt.timers.cancel()
    let refusal = attempt.probe?.refusal.map { TimeoutCause.networkRefused($0) }
    // Whatever the peer itself has answered says more.
    return Ended(outcome: attempt.outcome, seen: refusal.map { $0.combined(with: attempt.seen) } ?? attempt.seen)
  }

  /// Ends the attempt for which `outcome` waits, and returns its session; nil if there is none.
  mutating func end(waitedForBy outcome: SessionOutcome) -> SessionID? {
    guard let id = attempts.first(where: { $0.value.outcome === outcome })?.key else { return nil }
    _ = end(id)
    return id
  }

  /// Ends all attempts with an error.
  mutating func failAll(_ error: UDPError) {
    for id in Array(attempts.keys) { end(id)?.outcome.resolve(.failure(error)) }
  }
}
