// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// A datagram of the scenario: what it is, and in which part of the scenario.
enum Slot: String, CaseIterable, Sendable {
  case x1a = "X1.0"
  case x1b = "X1.1"
  case x2a = "X2.0"
  case x2b = "X2.1"
  /// X3 in one fragment.
  case x3 = "X3"
  /// X3 in two, for an identity that is long.
  case x3a = "X3.0"
  case x3b = "X3.1"
  case c1 = "C1"
  case c2 = "C2"
  case aliceK1 = "A:K1"
  case aliceK2 = "A:K2"
  case aliceC1 = "A:C1"
  case aliceC2 = "A:C2"
  case bobK1 = "B:K1"
  case bobK2 = "B:K2"
  case bobC1 = "B:C1"
  case bobC2 = "B:C2"

  /// The part of the scenario: 0 is the handshake, 1 Alice's re-key, 2 Bob's.
  var phase: Int {
    switch rawValue.prefix(2) {
    case "A:": 1
    case "B:": 2
    default: 0
    }
  }

  /// The slots of a scenario in which Alice's identity is long, or short.
  static func all(hasLongIdentity: Bool) -> [Slot] {
    allCases.filter { slot in
      switch slot {
      case .x3: !hasLongIdentity
      case .x3a, .x3b: hasLongIdentity
      default: true
      }
    }
  }

  static func slot(of label: Label, in phase: Int, hasLongIdentity: Bool) -> Slot? {
    let name: String? =
      switch label.type {
      case .hello where phase == 0: "X1.\(label.fragment)"
      case .response where phase == 0: "X2.\(label.fragment)"
      case .completion where phase == 0: hasLongIdentity ? "X3.\(label.fragment)" : "X3"
      case .keyConfirm: "C1"
      case .acknowledge: "C2"
      case .rekeyInit: "K1"
      case .rekeyComplete: "K2"
      default: nil
      }
    return name.flatMap { Slot(rawValue: ["", "A:", "B:"][phase] + $0) }
  }
}

/// The fate of a datagram in the network.
enum Misfortune: String, CaseIterable, Sendable {
  case dropped = "drop"
  case duplicated = "twice"
  /// Past the resend interval.
  case late1500 = "1500"
  /// Past the reassembly timeout.
  case late5500 = "5500"
  /// Past the handshake timeout.
  case late10500 = "10500"
  /// Past the re-key timeout.
  case late61000 = "61000"
  /// The datagram arrives after the next one of the same sender.
  case swapped = "swap"

  var delay: Int64? { Int64(rawValue) }
}

/// The fate of one datagram. Of two faults of one slot the second is for the slot's second
/// datagram.
struct Fault: Sendable {
  let slot: Slot
  let misfortune: Misfortune

  static func all(hasLongIdentity: Bool = false) -> [Fault] {
    Slot.all(hasLongIdentity: hasLongIdentity).flatMap { slot in
      Misfortune.allCases.map { Fault(slot: slot, misfortune: $0) }
    }
  }
}

/// A peer loses all but its store once a slot's first datagram is sent, and is down for a time.
struct Crash: Sendable {
  let ofAlice: Bool
  let slot: Slot
  let downtime: Int64

  /// Up again at once, and after longer than a resend interval.
  static func all(hasLongIdentity: Bool = false) -> [Crash] {
    Slot.all(hasLongIdentity: hasLongIdentity).flatMap { slot in
      [true, false].flatMap { ofAlice in
        [0, 1200].map { Crash(ofAlice: ofAlice, slot: slot, downtime: $0) }
      }
    }
  }
}

/// One run of the scenario: `P X3=1500 X3=drop A@X3+1200` is persistent mode, X3 late by 1.5 s and
/// then lost, and Alice crashing after the first X3 and coming back 1.2 s later. `PL` is persistent
/// mode with a long identity.
struct Case: Sendable, CustomStringConvertible {
  var isPersistent: Bool
  /// Alice's identity is so long that X3 has two fragments.
  var hasLongIdentity = false
  var faults: [Fault] = []
  var crash: Crash?

  var description: String {
    var words = [(isPersistent ? "P" : "O") + (hasLongIdentity ? "L" : "")]
    words += faults.map { "\($0.slot.rawValue)=\($0.misfortune.rawValue)" }
    if let crash { words.append("\(crash.ofAlice ? "A" : "B")@\(crash.slot.rawValue)+\(crash.downtime)") }
    return words.joined(separator: " ")
  }

  init(isPersistent: Bool, hasLongIdentity: Bool = false, faults: [Fault] = [], crash: Crash? = nil) {
    self.isPersistent = isPersistent
    self.hasLongIdentity = hasLongIdentity
    self.faults = faults
    self.crash = crash
  }

  /// The case of a description; nil if the text is none.
  init?(_ text: String) {
    var words = text.split(separator: " ").map(String.init)
    guard let mode = words.first, ["P", "O", "PL", "OL"].contains(mode) else { return nil }
    words.removeFirst()
    isPersistent = mode.hasPrefix("P")
    hasLongIdentity = mode.hasSuffix("L")
    for word in words {
      if let at = word.firstIndex(of: "@"), let plus = word.firstIndex(of: "+") {
        guard let slot = Slot(rawValue: String(word[word.index(after: at)..<plus])),
          let downtime = Int64(word[word.index(after: plus)...])
        else { return nil }
        crash = Crash(ofAlice: word.hasPrefix("A"), slot: slot, downtime: downtime)
      } else {
        let parts = word.split(separator: "=").map(String.init)
        guard parts.count == 2, let slot = Slot(rawValue: parts[0]), let misfortune = Misfortune(rawValue: parts[1])
        else { return nil }
        faults.append(Fault(slot: slot, misfortune: misfortune))
      }
    }
  }

  /// No fault, every single fault, or every pair of faults.
  static let none: [[Fault]] = [[]]
  static func singles(hasLongIdentity: Bool = false) -> [[Fault]] {
    Fault.all(hasLongIdentity: hasLongIdentity).map { [$0] }
  }
  static func pairs(hasLongIdentity: Bool = false) -> [[Fault]] {
    let all = Fault.all(hasLongIdentity: hasLongIdentity)
    return all.indices.flatMap { first in
      all.indices.compactMap { second -> [Fault]? in
        let one = all[first]
        let other = all[second]
        // The order matters for faults of one slot only.
        return first <= second || one.slot == other.slot ? [one, other] : nil
      }
    }
  }

  /// Both modes of every combination of `faults` and `crashes`.
  static func all(_ faults: [[Fault]], crashes: [Crash?], hasLongIdentity: Bool = false) -> [Case] {
    faults.flatMap { faults in
      crashes.flatMap { crash in
        [false, true].map {
          Case(isPersistent: $0, hasLongIdentity: hasLongIdentity, faults: faults, crash: crash)
        }
      }
    }
  }
}
