// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The adversary with a memory (``AdversaryPlan``).
extension Simulation {
  // MARK: Planning

  func planCampaign(after delay: Duration? = nil) {
    let rate = plan.adversary.campaignsPerHour
    guard rate > 0 else { return }
    let mean = Duration.nanoseconds(Int64(3600e9 / rate))
    agenda.add(.campaign(phase: phase), at: now.advanced(by: delay ?? adversaryRandom.interval(mean: mean)))
  }

  func planRelease() {
    let rate = plan.adversary.releasesPerHour
    guard rate > 0 else { return }
    let mean = Duration.nanoseconds(Int64(3600e9 / rate))
    agenda.add(.release(phase: phase), at: now.advanced(by: adversaryRandom.interval(mean: mean)))
  }

  /// Begins a campaign against a pair, unless one is under way.
  func beginCampaign() {
    planCampaign()
    let (low, high) = links[adversaryRandom.below(links.count)]
    campaigns.removeAll { $0.end <= now }
    guard !campaigns.contains(where: { $0.concerns(low, high) }) else { return }
    lastCampaign += 1
    let end = now.advanced(by: adversaryRandom.duration(plan.adversary.campaign))
    let campaign = Campaign(
      lastCampaign, of: plan.adversary.kinds, low: low, high: high, from: now, until: end, random: &adversaryRandom)
    campaigns.append(campaign)
    report.campaigns += 1
    trace.add(.campaign, peer: low, high, text: "\(campaign.kind)", at: now)
    planAct(campaign)
    if campaign.unrest != nil { agenda.add(.unrest(campaign: campaign.number, phase: phase), at: now) }
    planTurn(of: campaign, 0, inRoundFrom: now)
  }

  /// Ends all campaigns.
  func endCampaigns() {
    campaigns = []
    relays = [:]
  }

  private func planAct(_ campaign: Campaign, within limit: Duration? = nil) {
    let delay = limit.map { adversaryRandom.duration(.zero...$0) } ?? adversaryRandom.interval(mean: campaign.pace)
    agenda.add(
      .act(campaign: campaign.number, phase: phase, goesOn: limit == nil), at: now.advanced(by: delay))
  }

  func index(ofCampaign number: Int) -> Int? {
    campaigns.firstIndex { $0.number == number && $0.end > now }
  }

  // MARK: What is sent

  /// Remembers a datagram, and returns true if the adversary removes it from the network.
  func adversaryTakes(_ parcel: inout Parcel, label: PacketLabel, from sender: SimulatedPeer) -> Bool {
    guard label.type != .data, label.type != .challenge, let to = addressee(of: parcel), to != sender.index else {
      return false
    }
    let number = memory.see(parcel, label: label, from: sender.index, to: to, at: now)
    guard let index = campaigns.firstIndex(where: { $0.concerns(sender.index, to) && $0.end > now }) else {
      return false
    }
    let starved = campaigns[index].starved
    if campaigns[index].holds(number, type: label.type, from: sender.index, at: now, random: &adversaryRandom) {
      if campaigns[index].starved > starved { starves(campaigns[index], to: to) }
      report.heldBack += 1
      trace.add(.held, peer: sender.index, number, text: "\(label.type) to \(to)", at: now)
      return true
    }
    if label.type == .hello, campaigns[index].kind == .rekey, sender.index == campaigns[index].victim {
      releaseRekey(index)
    }
    if label.type == .hello, campaigns[index].relays(from: sender.index) {
      parcel.from = relay(for: sender.index, campaigns[index])
      parcel.sender = nil
    }
    return false
  }

  /// Called when another attempt of the victim has failed. After many of them, while the next is
  /// under way, the adversary repeats their Hellos, and lets an X3 of an earlier one arrive.
  private func starves(_ campaign: Campaign, to: Int) {
    let isTime = adversaryRandom.chance(0.2)
    let delay = adversaryRandom.duration(.milliseconds(5) ... .milliseconds(300))
    guard campaign.kind == .starve, campaign.starved > 9, isTime else { return }
    agenda.add(.repeatHellos(from: campaign.victim, to: to, phase: phase), at: now.advanced(by: delay))
  }

  /// Returns an address of the adversary that replaces a peer's. What arrives there is forwarded to
  /// the peer.
  private func relay(for peer: Int, _ campaign: Campaign) -> Address {
    let address = mallory(1 << 20 | campaign.number << 1 | (peer == campaign.low ? 0 : 1))
    relays[address] = peer
    return address
  }

  /// Returns the peer that a datagram is for, at any of its addresses.
  private func addressee(of parcel: Parcel) -> Int? {
    if let peer = relays[parcel.to] { return peer }
    return peers.firstIndex { $0.address.low == parcel.to.low && !isStranger($0.index) }
  }

  /// Forwards what arrived at an address of the adversary, as if it came directly from its sender.
  func passOn(_ parcel: Parcel) -> Bool {
    guard let peer = relays[parcel.to] else { return false }
    var parcel = parcel
    parcel.to = peers[peer].address
    agenda.add(.deliver(parcel), at: now.advanced(by: adversaryRandom.duration(.milliseconds(1) ... .milliseconds(20))))
    return true
  }

  // MARK: Acts

  /// Acts in a campaign.
  func act(inCampaign number: Int, goesOn: Bool) {
    guard let index = index(ofCampaign: number) else { return }
    if goesOn { planAct(campaigns[index]) }
    let campaign = campaigns[index]
    if campaign.kind == .cross { return letArrive(index) }
    if campaign.kind == .rekey { return }
    let isForward = adversaryRandom.chance(0.5)
    let (from, to) = isForward ? (campaign.low, campaign.high) : (campaign.high, campaign.low)
    switch campaign.act(&adversaryRandom) {
    case .release:
      for _ in 0...adversaryRandom.below(2) {
        if let number = campaigns[index].release(&adversaryRandom) { deliver(number) }
      }
    case .repeatHellos: repeatHellos(from: from, to: to)
    case .replay: replayAny(from: from, to: to)
    case .discard: campaigns[index].discard()
    }
  }

  /// Lets the round's next packet arrive: one of the latest attempt. An attempt has an X2 for each
  /// repetition of its Hello, and the first may be based on an older state than the others.
  private func letArrive(_ index: Int) {
    let campaign = campaigns[index]
    let isFirst = adversaryRandom.chance(0.7)
    guard let (type, isVictims) = campaign.arrival(now) else { return }
    let numbers = campaign.held.filter { number in
      memory[number].type == type && (memory[number].from == campaign.victim) == isVictims
    }
    guard let last = numbers.last, let first = numbers.first(where: { memory[$0].keyID == memory[last].keyID }) else {
      return
    }
    let number = type == .response && isFirst ? first : last
    campaigns[index].release(number)
    deliver(number)
  }

  /// Called when the victim has just answered a re-key and sent a Hello. Makes K2 arrive at about
  /// the same time.
  private func releaseRekey(_ index: Int) {
    let delay = adversaryRandom.duration(.zero ... .milliseconds(60))
    let campaign = campaigns[index]
    let number = campaign.held.last { memory[$0].type == .rekeyComplete && memory[$0].from == campaign.victim }
    guard let number else { return }
    campaigns[index].release(number)
    deliver(number, after: delay)
  }

  /// Delivers a peer's latest different Hellos in a row, oldest first, and then possibly one of its
  /// latest X3s.
  func repeatHellos(from: Int, to: Int) {
    let hellos = memory.all(.hello, from: from, to: to)
    let count = 1 + adversaryRandom.below(adversaryRandom.chance(0.5) ? 14 : 48)
    let skipped = adversaryRandom.below(3)
    let isOwn = adversaryRandom.chance(0.7)
    var delay = Duration.zero
    for number in hellos.dropLast(skipped).suffix(count) {
      delay += .milliseconds(1 + adversaryRandom.below(20))
      // One host alone would exceed its budget.
      let source = mallory(adversaryRandom.below(16))
      deliver(number, from: isOwn ? source : nil, after: delay)
    }
    let completions = memory.all(.completion, from: from, to: to).suffix(3)
    let isReleased = adversaryRandom.chance(0.6)
    let chosen = adversaryRandom.below(max(1, completions.count))
    delay += .milliseconds(1 + adversaryRandom.below(200))
    if isReleased, !completions.isEmpty { deliver(completions[completions.startIndex + chosen], after: delay) }
  }

  /// Delivers any packet that one peer has ever sent to the other.
  private func replayAny(from: Int, to: Int) {
    let types: [PacketType] = [
      .hello, .response, .completion, .completion, .keyConfirm, .acknowledge, .rekeyInit, .rekeyComplete, .rejected,
    ]
    let numbers = memory.all(types[adversaryRandom.below(types.count)], from: from, to: to)
    let isLate = adversaryRandom.chance(0.7)
    let recent = numbers.suffix(isLate ? 4 : numbers.count)
    let index = adversaryRandom.below(max(1, recent.count))
    guard !recent.isEmpty else { return }
    let isOwn = adversaryRandom.chance(0.25)
    let source = mallory(adversaryRandom.below(16))
    deliver(recent[recent.startIndex + index], from: isOwn ? source : nil)
  }

  /// Delivers old packets outside of campaigns.
  func releaseOld() {
    planRelease()
    let (low, high) = links[adversaryRandom.below(links.count)]
    let isForward = adversaryRandom.chance(0.5)
    for _ in 0...adversaryRandom.below(3) { replayAny(from: isForward ? low : high, to: isForward ? high : low) }
  }

  /// Delivers a remembered packet to the current address of its addressee.
  private func deliver(_ number: Int, from source: Address? = nil, after delay: Duration = .zero) {
    let sighting = memory[number]
    trace.add(
      .released, peer: sighting.from, number, text: "\(sighting.type) to \(sighting.to)", at: now)
    for parcel in sighting.parcels {
      var parcel = parcel
      parcel.sender = nil
      parcel.to = peers[sighting.to].address
      if let source { parcel.from = source }
      report.attacks += 1
      let flight = adversaryRandom.duration(.milliseconds(1) ... .milliseconds(40))
      agenda.add(.deliver(parcel), at: now.advanced(by: delay + flight))
    }
  }

  /// Called on an event between two peers that the adversary can notice, which is often the best
  /// moment to act.
  func adversaryNotices(_ peer: Int, and other: Int) {
    guard let campaign = campaigns.first(where: { $0.concerns(peer, other) && $0.end > now }) else { return }
    for _ in 0..<adversaryRandom.below(4) { planAct(campaign, within: .milliseconds(300)) }
  }
}
