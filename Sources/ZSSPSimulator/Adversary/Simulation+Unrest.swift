// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The applications of a pair during a campaign against it: they become impatient.
extension Simulation {
  /// The time that an application waits for a session during unrest.
  private static let patience = Duration.milliseconds(200) ... .seconds(8)

  /// Lets an application of the pair act rashly.
  func unrest(inCampaign number: Int) {
    guard let index = index(ofCampaign: number), let mean = campaigns[index].unrest else { return }
    let campaign = campaigns[index]
    agenda.add(
      .unrest(campaign: number, phase: phase), at: now.advanced(by: applicationRandom.interval(mean: mean)))
    // A starved peer tries again and again; the other side acts less often.
    let isVictim = applicationRandom.chance(campaign.kind == .starve ? 0.85 : 0.5)
    let one = isVictim ? campaign.victim : campaign.low + campaign.high - campaign.victim
    let other = campaign.low + campaign.high - one
    let peer = peers[one]
    let dice = applicationRandom.below(100)
    let limits = (applicationRandom.duration(Self.patience), applicationRandom.duration(Self.patience))
    guard peer.isUp else { return }
    let sessions = peer.sessions(with: other)
    switch dice {
    case 0..<2 where plan.faults.crashesPerHour > 0: crash(peer, downtime: .milliseconds(1) ... .milliseconds(500))
    case 2..<4:
      if let session = sessions.last {
        trace.add(.rekey, peer: one, other, at: now)
        peer.endpoint.rekey(session.id, at: localTime(peer))
        settle(peer)
      }
    case 4..<28: if let session = sessions.last { close(peer, session: session.id) }
    case 28..<40:
      reopen(peer, to: other, within: limits.0)
      reopen(peers[other], to: one, within: limits.1)
    case 40..<44: if sessions.count < 3 { open(peer, to: other) }
    case 44..<48: if !sessions.isEmpty { sendMessage(from: peer, to: other) }
    default: reopen(peer, to: other, within: limits.0)
    }
  }

  /// Opens a session if none exists, and closes it after a time limit.
  private func reopen(_ peer: SimulatedPeer, to other: Int, within limit: Duration) {
    guard peer.isUp, peer.sessions(with: other).isEmpty else { return }
    open(peer, to: other)
    guard let session = peer.sessions(with: other).last else { return }
    agenda.add(
      .attemptLimit(peer: peer.index, incarnation: peer.incarnation, session: session.id, phase: phase),
      at: now.advanced(by: limit))
  }
  // MARK: Scripts

  /// Plans a turn of a campaign with a script.
  func planTurn(of campaign: Campaign, _ number: Int, inRoundFrom begin: Instant) {
    guard !campaign.turns.isEmpty else { return }
    let isOver = number == campaign.turns.count
    let (number, begin) = isOver ? (0, begin.advanced(by: campaign.round)) : (number, begin)
    let time = begin.advanced(by: applicationRandom.duration(campaign.turns[number].time))
    agenda.add(.turn(campaign: campaign.number, number, roundBegin: begin, phase: phase), at: max(now, time))
  }

  /// Lets an application execute a turn of a script.
  func turn(inCampaign campaign: Int, _ number: Int, roundBegin: Instant) {
    guard let index = index(ofCampaign: campaign) else { return }
    let campaign = campaigns[index]
    planTurn(of: campaign, number + 1, inRoundFrom: roundBegin)
    let turn = campaign.turns[number]
    let one = turn.isVictims ? campaign.victim : campaign.low + campaign.high - campaign.victim
    let other = campaign.low + campaign.high - one
    let peer = peers[one]
    guard peer.isUp else { return }
    let sessions = peer.sessions(with: other)
    switch turn.move {
    case .quit, .open:
      for session in sessions { close(peer, session: session.id) }
      if turn.move == .open { open(peer, to: other) }
    case .openIfNone: if sessions.isEmpty { open(peer, to: other) }
    case .rekey:
      guard let session = sessions.last else { return }
      trace.add(.rekey, peer: one, other, at: now)
      peer.endpoint.rekey(session.id, at: localTime(peer))
      settle(peer)
    }
  }

  /// Returns true if a script controls the applications of a pair.
  func isScripted(_ one: Int, _ other: Int) -> Bool {
    campaigns.contains { $0.concerns(one, other) && $0.end > now && !$0.turns.isEmpty }
  }
}
