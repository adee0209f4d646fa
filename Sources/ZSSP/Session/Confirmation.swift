// SPDX-License-Identifier: Apache-2.0

/// The confirmation that both sides use the current key (sections 6, 7 and 11).
///
/// | state | what it waits for | what ends it |
/// |---|---|---|
/// | S1 | C2; C1 is resent | C2, and no older ratchet state is left: S2. Timeout: the end |
/// | S2 | the time for a re-key | ``Rekey`` |
struct Confirmation {
  private enum State {
    /// S1: the current key is in use here and waits for the peer's confirmation.
    case unconfirmed
    /// S2, and underneath R1 and R2.
    case confirmed
  }

  private var state: State
  /// True while the store is requested to drop the older state.
  private var isDroppingOlder = false
  /// The end of S1, or in S2 the time of the next re-key.
  private(set) var deadline: Instant
  /// The time of the next resend of C1.
  private(set) var resendDeadline: Instant

  // [TIME-5] [TIME-9]
  /// Begins S1.
  init(unconfirmedAt now: Instant, _ settings: Settings) {
    state = .unconfirmed
    deadline = now.advanced(by: settings.rekeyTimeout)
    resendDeadline = now.advanced(by: settings.resendInterval)
  }

  /// Begins S2: both sides use the new key from now on. Packets under the previous one are late.
  init(confirmedAt now: Instant, keys: inout SessionKeys, in surroundings: Surroundings) {
    let settings = surroundings.settings
    state = .confirmed
    // [TIME-12]
    resendDeadline = .distantFuture
    // [DEC-39]
    keys.setPreviousDeadline(now.advanced(by: settings.previousKeyLifetime))
    // [TIME-6]
    let jitter = UInt64(clamping: settings.rekeyJitter.nanoseconds)
    let random = surroundings.provider.randomInteger(UInt64.self) % (jitter + 1)
    deadline = now.advanced(by: settings.rekeyAfter - .nanoseconds(Int64(random)))
  }

  /// True if the peer has confirmed the current key.
  var isConfirmed: Bool { state == .confirmed }
  /// The state's name in the specification, without a re-key.
  var name: String { isConfirmed ? "S2" : "S1" }
  /// True while an answer of the store is awaited.
  var isWaiting: Bool { isDroppingOlder }

  /// Postpones the next re-key.
  mutating func postpone(until deadline: Instant) { self.deadline = deadline }

  /// Processes a C2 under the current key: the peer uses it.
  ///
  /// - Returns: the request to the store that is needed first; nil if the session is confirmed.
  mutating func acknowledged(
    _ held: inout HeldStates, core: borrowing SessionCore, in surroundings: Surroundings, at now: Instant
  ) throws(Dropped) -> Action? {
    // The state of an attempt in the other direction was stored until now.
    // [DEC-74]
    guard held.pair.state2 != nil else { return nil }
    // [DEC-12]
    guard !isDroppingOlder else { throw Dropped(.busy) }
    isDroppingOlder = true
    return held.dropOlder(of: core.peer, in: surroundings, at: now)
  }

  /// Processes an answer of the store.
  mutating func answered() { isDroppingOlder = false }

  // [TIME-5]
  /// Resends C1.
  mutating func resend(
    _ core: inout SessionCore, configuration: borrowing EndpointConfiguration, at now: Instant
  ) -> [Action] {
    resendDeadline = now.advanced(by: configuration.settings.resendInterval)
    guard state == .unconfirmed else { return [] }
    return core.probe(under: core.keys.current, configuration: configuration, at: now)
  }
}
