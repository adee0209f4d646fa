// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// The parameters of a session that this side opens.
struct ConnectRequest: Sendable {
  let address: Address
  let key: PublicKey
  let identity: [UInt8]
  let flags: SecurityFlags?
  var timeout: Duration?
  /// The time to wait for a first answer if another address remains to try; nil for all of
  /// `timeout`.
  var patience: Duration?
}

/// Calls of ``UDPEndpoint/connect(to:key:identity:flags:timeout:)-(SocketAddress,_,_,_,_)`` that
/// wait for their session.
struct ConnectAttempts {
  /// The timers of an attempt, which end with it.
  struct Timers {
    /// Fires when the attempt has timed out.
    var timeout: Scheduled<Void>?
    /// Fires when a first answer is overdue.
    var patience: Scheduled<Void>?
    /// Fires when ``ReachProbe`` is to find out why no answer came.
    var probe: Scheduled<Void>?

    func cancel() {
      for timer in [timeout, patience, probe] { timer?.cancel() }
    }
  }

  /// An attempt that is over.
  struct Ended {
    /// The outcome that a task waits for.
    let outcome: SessionOutcome
    /// The cause to report if the attempt timed out.
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
  mutating func begin(_ session: SessionID, for outcome: SessionOutcome, timers: Timers) {
    attempts[session] = Attempt(outcome: outcome, timers: timers)
  }

  /// Records what was seen of the peer of an attempt, if the session is one.
  mutating func record(_ seen: TimeoutCause, of session: SessionID) {
    guard let attempt = attempts[session] else { return }
    attempts[session]?.seen = attempt.seen.combined(with: seen)
  }

  /// Sets the probe of an attempt's address, if the session is an attempt.
  mutating func setProbe(_ probe: ReachProbe?, of session: SessionID) { attempts[session]?.probe = probe }

  /// Replaces the timer for the first answer of an attempt, if the session is one.
  mutating func setPatience(_ timer: Scheduled<Void>, of session: SessionID) {
    guard attempts[session] != nil else { return timer.cancel() }
    attempts[session]?.timers.patience = timer
  }

  /// Returns true if the session is an attempt.
  func contains(_ session: SessionID) -> Bool { attempts[session] != nil }

  /// Ends an attempt, and returns it; nil if the session is no attempt.
  mutating func end(_ session: SessionID) -> Ended? {
    guard let attempt = attempts.removeValue(forKey: session) else { return nil }
    attempt.timers.cancel()
    let refusal = attempt.probe?.refusal.map { TimeoutCause.networkRefused($0) }
    // An answer of the peer itself takes precedence.
    return Ended(outcome: attempt.outcome, seen: refusal.map { $0.combined(with: attempt.seen) } ?? attempt.seen)
  }

  /// Ends the attempt for which `outcome` waits, and returns its session; nil if none.
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
