// SPDX-License-Identifier: Apache-2.0

/// Whether both sides use the current key (sections 6, 7 and 11).
///
/// | state | what it waits for | what ends it |
/// |---|---|---|
/// | S1 | C2; C1 is sent again and again | C2, and no older ratchet state is left: S2. Too long: the session ends |
/// | S2 | the time for a re-key | ``Rekey`` |
struct Confirmation {
  private enum State {
    /// S1: the current key is in use here and waits for the peer's confirmation.
    case unconfirmed
    /// S2, and underneath R1 and R2.
    case confirmed
  }

  private var state: State
  /// Whether the store is asked to drop the older state.
  private var isDroppingOlder = false
  /// When S1 ends, or in S2 the re-key begins.
  private(set) var deadline: Instant
  /// When C1 is sent again.
  private(set) var resendDeadline: Instant

  // [TIME-5] [TIME-9]
  /// S1 begins.
  init(unconfirmedAt now: Instant, _ settings: Settings) {
    state = .unconfirmed
    deadline = now.advanced(by: settings.rekeyTimeout)
    resendDeadline = now.advanced(by: settings.resendInterval)
  }

  /// S2 begins: both sides use the new key from here on. What comes under the previous one is late.
  init(confirmedAt now: Instant, _ keys: inout SessionKeys, _ surroundings: Surroundings) {
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

  /// Whether the peer has confirmed the current key.
  var isConfirmed: Bool { state == .confirmed }
  /// The state's name in the specification, where there is no re-key.
  var name: String { isConfirmed ? "S2" : "S1" }
  /// Whether an answer of the store is waited for.
  var isWaiting: Bool { isDroppingOlder }

  /// Puts the next re-key off.
  mutating func postpone(until deadline: Instant) { self.deadline = deadline }

  /// C2 came under the current key: the peer uses it.
  ///
  /// - Returns: what to ask of the store first; nil if the session is confirmed.
  mutating func acknowledged(
    _ held: inout HeldStates, _ core: borrowing SessionCore, _ surroundings: Surroundings, at now: Instant
  ) throws(Dropped) -> Action? {
    // The state of an attempt in the other direction was kept until now.
    // [DEC-74]
    guard held.pair.state2 != nil else { return nil }
    // [DEC-12]
    guard !isDroppingOlder else { throw Dropped(.busy) }
    isDroppingOlder = true
    return held.dropOlder(of: core.peer, surroundings, at: now)
  }

  /// The store has answered.
  mutating func answered() { isDroppingOlder = false }

  // [TIME-5]
  /// Sends C1 again.
  mutating func resend(
    _ core: inout SessionCore, _ configuration: borrowing EndpointConfiguration, at now: Instant
  ) -> [Action] {
    resendDeadline = now.advanced(by: configuration.settings.resendInterval)
    guard state == .unconfirmed else { return [] }
    return core.probe(under: core.keys.current, configuration, at: now)
  }
}
