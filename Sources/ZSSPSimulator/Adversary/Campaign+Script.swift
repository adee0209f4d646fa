// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The scripts of campaigns: rounds in which the pair's applications act, and packets arrive, in a
/// fixed order.
extension Campaign {
  /// An action of an application in a round.
  struct Turn {
    /// The action on the sessions of one side.
    enum Move {
      /// Closes all sessions.
      case quit
      /// Closes all sessions, and opens one.
      case open
      /// Opens a session if none exists.
      case openIfNone
      /// Re-keys the session.
      case rekey
    }

    /// The earliest and the latest time, from the beginning of the round.
    let time: ClosedRange<Duration>
    /// True if the victim's application acts.
    let isVictims: Bool
    let move: Move
  }

  /// The actions in each round, in order; empty for a campaign without a script.
  ///
  /// **cross** makes the seven steps after which two peers may have no state in common, unless a
  /// responder revokes the state of a Hello that it does not answer under (section 14). Both peers
  /// hold *u* at first. V is the victim, W the other side:
  ///
  /// 1. V opens, W answers under *u*, and V's X3 is held back. V abandons the attempt.
  /// 2. W opens, V answers under *u*, and W's X3 is held back. W abandons the attempt.
  /// 3. V's X3 arrives: W has (new, own).
  /// 4. W opens, naming both. V answers under its own, and this X2 is held back.
  /// 5. W's X3 arrives: V has (new, own).
  /// 6. V opens, naming both. W answers under either.
  /// 7. The X2 of step 4 arrives.
  ///
  /// Then everything arrives for a while, so that the next round begins with a common state.
  var turns: [Turn] {
    func turn(_ from: Int, _ to: Int, _ isVictims: Bool, _ move: Turn.Move) -> Turn {
      Turn(time: .milliseconds(from) ... .milliseconds(to), isVictims: isVictims, move: move)
    }
    switch kind {
    case .cross:
      return [
        turn(0, 100, false, .quit), turn(100, 300, true, .open),
        turn(900, 1300, true, .quit), turn(1300, 1500, false, .open),
        turn(2200, 2700, false, .quit),
        turn(3900, 4300, false, .open),
        turn(6000, 6400, true, .open),
        turn(9500, 9900, true, .openIfNone),
      ]
    case .rekey:
      return [
        turn(0, 100, true, .openIfNone), turn(1500, 2500, false, .rekey), turn(2700, 4000, true, .open),
      ]
    default: return []
    }
  }

  /// The duration of a round; zero for a campaign without a script.
  var round: Duration {
    switch kind {
    case .cross: .seconds(12)
    case .rekey: .seconds(6)
    default: .zero
    }
  }

  /// Returns the time since the round began.
  private func timeInRound(_ now: Instant) -> Duration {
    .nanoseconds(begin.duration(to: now).nanoseconds % round.nanoseconds)
  }

  /// Returns which held-back packets arrive at this time of a round: their type, and true if the
  /// victim sent them.
  func arrival(_ now: Instant) -> (type: PacketType, isVictims: Bool)? {
    guard kind == .cross else { return nil }
    switch timeInRound(now) {
    case .milliseconds(3000) ..< .milliseconds(3900): return (.completion, true)
    case .milliseconds(5000) ..< .milliseconds(6000): return (.completion, false)
    case .milliseconds(7200) ..< .milliseconds(8500): return (.response, true)
    default: return nil
    }
  }

  /// Returns true if a packet that was sent at this time of a crossing round is held back.
  func holdsInCross(_ type: PacketType, isVictims: Bool, at now: Instant, otherwise decision: Bool) -> Bool {
    let time = timeInRound(now)
    if time >= .milliseconds(8500) { return false }
    if type == .response, isVictims { return time >= .milliseconds(3900) && time < .milliseconds(7200) }
    return decision
  }
}
