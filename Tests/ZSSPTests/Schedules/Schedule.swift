// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSP

/// Steps that Formal/replay has made of a trace of the Spin model.
struct Schedule {
  enum Mode: String {
    case persistent, opportunistic
    /// Opportunistic, and the peers have never met.
    case first
  }

  enum Responders: String {
    case one = "1"
    /// Two hosts.
    case two = "2"
    /// Two shards of one host.
    case shards
  }

  /// An event. Endpoint 0 is Alice, 1 and 2 are Bob's.
  enum Step {
    case open(Int, to: Int, sends: Int)
    case deliver(Int, sends: Int)
    case rekey(Int, sends: Int)
    case wait
    case closeAttempt(Int)
    case closeSession(Int)
    case crash(Int)
  }

  struct SyntaxError: Error {
    let line: String
  }

  private(set) var mode = Mode.persistent
  private(set) var responders = Responders.one
  private(set) var aliceIsSmaller = true
  private(set) var steps: [Step] = []

  /// Reads the schedule of this name.
  init(_ name: String) throws {
    let file = try #require(
      Bundle.module.url(forResource: name, withExtension: "schedule", subdirectory: "Vectors/Schedules"))
    for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") where !line.hasPrefix("#") {
      guard try read(line.split(separator: " ").map(String.init)) else { throw SyntaxError(line: String(line)) }
    }
  }

  /// Returns whether the words are a line of a schedule.
  private mutating func read(_ words: [String]) throws -> Bool {
    let numbers = words.compactMap(Int.init)
    switch (words[0], numbers.count) {
    case ("options", _), ("violates", _): break
    case ("mode", _): mode = try #require(Mode(rawValue: words[1]))
    case ("responders", _): responders = try #require(Responders(rawValue: words[1]))
    case ("preferred", 1): aliceIsSmaller = numbers[0] == 0
    case ("open", 3): steps.append(.open(numbers[0], to: numbers[1], sends: numbers[2]))
    case ("deliver", 2): steps.append(.deliver(numbers[0], sends: numbers[1]))
    case ("rekey", 2): steps.append(.rekey(numbers[0], sends: numbers[1]))
    case ("wait", 0): steps.append(.wait)
    case ("close-attempt", 1): steps.append(.closeAttempt(numbers[0]))
    case ("close-session", 1): steps.append(.closeSession(numbers[0]))
    case ("crash", 1): steps.append(.crash(numbers[0]))
    default: return false
    }
    return true
  }
}
