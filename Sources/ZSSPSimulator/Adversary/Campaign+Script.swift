// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Campaigns with a script: rounds in which the applications of the pair do certain things, and packets arrive, in a certain order.
extension Campaign {
  /// What an application does in a round.
  struct Turn {
    /// What is done with the sessions of one side.
    enum Move {
      /// All are closed, and nothing else is done.
      case quit
      /// All are closed, and another is opened.
      case open
      /// One is opened, if there is none.
      case openIfNone
      /// The session re-keys.
      case rekey
    }

    /// When it happens, from the beginning of the round, at the earliest and at the latest.
    let time: ClosedRange<Duration>
    /// Whether it is the victim's application.
    let isVictims: Bool
    let move: Move
  }

  /// What is to happen in each round, in order; nothing in a campaign that has no script.
  ///
  /// **cross** leads to the seven steps after which two peers may have no state in common, unless a responder revokes whichever of the
  /// two states of a Hello it does not answer under (section 14). Let both hold *u*, and call the victim V and the other side W:
  ///
  /// 1. V opens, W answers under *u*, V's X3 is held back. V gives up.
  /// 2. W opens, V answers under *u*, W's X3 is held back. W gives up.
  /// 3. V's X3 arrives: W has (new, own).
  /// 4. W opens, naming both. V answers under its own, and this X2 is held back.
  /// 5. W's X3 arrives: V has (new, own).
  /// 6. V opens, naming both. W answers under either.
  /// 7. The X2 of step 4 arrives.
  ///
  /// Then everything arrives for a while, so that the next round begins with a state in common.
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

  /// How long a round takes; zero in a campaign that has no script.
  var round: Duration {
    switch kind {
    case .cross: .seconds(12)
    case .rekey: .seconds(6)
    default: .zero
    }
  }

  /// The time since the round began.
  private func timeInRound(_ now: Instant) -> Duration {
    .nanoseconds(begin.duration(to: now).nanoseconds % round.nanoseconds)
  }

  /// What arrives at a time in a round, of what was held back: a type, and whether it is the victim's.
  func arrival(_ now: Instant) -> (type: PacketType, isVictims: Bool)? {
    guard kind == .cross else { return nil }
    switch timeInRound(now) {
    case .milliseconds(3000) ..< .milliseconds(3900): return (.completion, true)
    case .milliseconds(5000) ..< .milliseconds(6000): return (.completion, false)
    case .milliseconds(7200) ..< .milliseconds(8500): return (.response, true)
    default: return nil
    }
  }

  /// Whether a packet is held back that was sent at a time in a round that crosses.
  func holdsInCross(_ type: PacketType, isVictims: Bool, at now: Instant, otherwise decision: Bool) -> Bool {
    let time = timeInRound(now)
    if time >= .milliseconds(8500) { return false }
    if type == .response, isVictims { return time >= .milliseconds(3900) && time < .milliseconds(7200) }
    return decision
  }
}
