// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A series of the adversary's actions against a pair of peers.
struct Campaign: Sendable {
  /// An action of the adversary.
  enum Act: CaseIterable {
    /// Delivers a packet that it holds back.
    case release
    /// Repeats several of a peer's latest different Hellos in a row, and then possibly delivers an
    /// X3.
    case repeatHellos
    /// Delivers any packet of the pair that it remembers.
    case replay
    /// Discards the packets that it holds back. They can only be replayed later.
    case discard
  }

  /// The order in which held-back packets are released.
  enum Choice: CaseIterable {
    case oldest, newest, any
  }

  /// The maximum number of packets held back. Older ones have no effect any more, and are only
  /// replayed.
  static let heldLimit = 8

  let number: Int
  let kind: CampaignKind
  /// The two peers.
  let low, high: Int
  let begin: Instant
  let end: Instant
  /// The mean time between two actions.
  let pace: Duration
  /// The mean time between extra actions of the pair's applications; nil for none.
  let unrest: Duration?
  /// The probability of holding back each packet type, for the direction from `low` to `high` and
  /// back.
  private let holding: [[PacketType: Double]]
  /// True for each direction in which Hellos come from an address of the adversary.
  private let relaying: [Bool]
  /// The peer whose attempts never succeed, in a campaign that starves.
  let victim: Int
  private let weights: [Int]
  private let choice: Choice
  /// The probability that a released packet passes when it is sent again.
  private let leniency: Double

  /// The number of different X3s of the victim that were held back.
  private(set) var starved = 0
  /// The numbers in the memory of the packets that are held back, in order of arrival.
  private(set) var held: [Int] = []
  /// The decisions about packets: true if a packet is held back each time that it is sent.
  private var decisions: [Int: Bool] = [:]

  /// Makes a campaign of one of these kinds.
  init(
    _ number: Int, of kinds: [CampaignKind] = CampaignKind.allCases, low: Int, high: Int, from begin: Instant,
    until end: Instant, random: inout SimulationRandom
  ) {
    self.number = number
    self.low = low
    self.high = high
    self.begin = begin
    self.end = end
    let kind = kinds[random.below(kinds.count)]
    self.kind = kind
    holding = Self.holding(kind, random: &random)
    let relays = random.chance(kind == .relay ? 1 : 0.1)
    let direction = random.below(3)
    relaying = [relays && direction != 0, relays && direction != 1]
    choice = Choice.allCases[random.below(Choice.allCases.count)]
    leniency = Double(random.below(3)) / 2
    victim = random.chance(0.5) ? low : high
    let quick = random.duration(.milliseconds(80) ... .milliseconds(500))
    let slow = random.below(4)
    let quickUnrest = random.duration(.milliseconds(250) ... .milliseconds(1200))
    let draws = [random.below(5), random.below(3), random.below(2)]
    switch kind {
    case .walk:
      weights = [10, 0, 1, draws[2]]
      pace = quick
      unrest = quickUnrest
    case .starve:
      weights = [0, 1, draws[2], 0]
      pace = .seconds(20)
      unrest = quickUnrest
    // Their scripts say what the applications do.
    case .cross, .rekey:
      weights = [1, 0, 0, 0]
      pace = .milliseconds(300)
      unrest = nil
    case .relay, .any:
      weights = [3 + draws[0], draws[0], draws[1], draws[2]]
      pace = [quick, .seconds(1), .seconds(2), .seconds(6)][slow]
      unrest = [nil, quickUnrest, .seconds(3)][draws[1]]
    }
  }

  /// Draws the probability of holding back each packet type, in each direction.
  private static func holding(_ kind: CampaignKind, random: inout SimulationRandom) -> [[PacketType: Double]] {
    let types: [PacketType] = [
      .hello, .response, .completion, .keyConfirm, .acknowledge, .rekeyInit, .rekeyComplete, .rejected,
    ]
    var holding = [[PacketType: Double](), [:]]
    for direction in 0..<2 {
      for type in types {
        // All draws are made in any case.
        let some = [0, 0, 0.3, 0.7, 1][random.below(5)]
        let little = [0, 0.2, 0.4][random.below(3)]
        switch kind {
        case .walk:
          // States that stay unconfirmed at both ends can diverge.
          let likely: [PacketType: Double] = [.completion: 0.85, .response: 0.35, .keyConfirm: 0.4 + 1.5 * little]
          holding[direction][type] = likely[type] ?? little / 2
        case .cross: holding[direction][type] = type == .completion || type == .keyConfirm ? 1 : 0
        case .rekey: holding[direction][type] = type == .rekeyComplete ? 1 : 0
        case .starve: holding[direction][type] = type == .completion ? 1 : 0
        case .relay: holding[direction][type] = little / 2
        case .any: holding[direction][type] = some
        }
      }
    }
    return holding
  }

  /// Returns true if both peers are those of the campaign.
  func concerns(_ one: Int, _ other: Int) -> Bool { one == low && other == high || one == high && other == low }

  private func direction(from sender: Int) -> Int { sender == low ? 0 : 1 }

  /// Returns true if a peer's Hellos come from an address of the adversary.
  func relays(from sender: Int) -> Bool { relaying[direction(from: sender)] }

  /// Returns true if the adversary holds back a packet that `sender` has just sent.
  mutating func holds(
    _ number: Int, type: PacketType, from sender: Int, at now: Instant, random: inout SimulationRandom
  ) -> Bool {
    if let decision = decisions[number] { return decision }
    var decision = random.chance(holding[direction(from: sender)][type] ?? 0)
    if kind == .cross { decision = holdsInCross(type, isVictims: sender == victim, at: now, otherwise: decision) }
    // C1 is made anew each time. Those that are held back are not worth a place.
    if kind == .cross, type == .keyConfirm { return decision }
    decisions[number] = decision
    if decision {
      if type == .completion, sender == victim { starved += 1 }
      if held.count == Self.heldLimit { held.removeFirst() }
      held.append(number)
    }
    return decision
  }

  /// Returns the adversary's next action.
  func act(_ random: inout SimulationRandom) -> Act {
    var dice = random.below(weights.reduce(0, +))
    for (act, weight) in zip(Act.allCases, weights) {
      if dice < weight { return act }
      dice -= weight
    }
    return .release
  }

  /// Removes a packet from those held back.
  mutating func release(_ number: Int) { held.removeAll { $0 == number } }

  /// Removes and returns one of the packets held back; nil if there are none.
  mutating func release(_ random: inout SimulationRandom) -> Int? {
    let index =
      switch choice {
      case .oldest: 0
      case .newest: max(0, held.count - 1)
      case .any: random.below(max(1, held.count))
      }
    let passes = random.chance(leniency)
    guard !held.isEmpty else { return nil }
    let number = held.remove(at: index)
    if passes { decisions[number] = false }
    return number
  }

  /// Discards all packets held back.
  mutating func discard() { held = [] }
}
