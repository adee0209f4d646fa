// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The events of a run: a hash of all, and the last ones as text.
struct Trace {
  /// The kinds of events.
  enum Code: UInt8 {
    case send, deliver, drop, message, lost, duplicated, corrupted
    case wake, store, storeAnswer, storeFailed, answerLost, work, workRefused, accept, reject
    case open, close, rekey, payload
    case event, crash, restart, storeLost, rebind, leap, partition, heal, attack, calm, turbulence, recovered
    case campaign, held, released, cancelled, limit
  }

  private struct Step {
    let time: Int64
    let peer: Int
    let code: Code
    let first: Int
    let second: Int
    let text: String
  }

  private var mixer = Mixer(seed: 0)
  private var last: [Step] = []
  private var next = 0
  private let limit: Int
  private(set) var count: UInt64 = 0
  /// Called with each event: its code, peer, text and time.
  var observer: ((Code, Int, String, Instant) -> Void)?

  init(limit: Int) { self.limit = limit }

  /// The hash of all events so far.
  var hash: UInt64 { mixer.word(0) }

  mutating func add(
    _ code: Code, peer: Int = -1, _ first: Int = 0, _ second: Int = 0, text: String = "", at now: Instant
  ) {
    count += 1
    observer?(code, peer, text, now)
    mixer.absorb(UInt64(bitPattern: now.nanoseconds))
    mixer.absorb(UInt64(code.rawValue) << 32 | UInt64(UInt32(truncatingIfNeeded: peer)))
    mixer.absorb(UInt64(truncatingIfNeeded: first) &* 31 &+ UInt64(truncatingIfNeeded: second))
    for byte in text.utf8 { mixer.absorb(UInt64(byte)) }
    let step = Step(time: now.nanoseconds, peer: peer, code: code, first: first, second: second, text: text)
    if last.count < limit { last.append(step) } else { last[next] = step }
    next = (next + 1) % limit
  }

  /// The last events as text, oldest first.
  var lines: [String] {
    (last.count < limit ? last[...] : last[next...] + last[..<next]).map { step in
      let seconds = step.time / 1_000_000_000
      let microseconds = step.time / 1000 % 1_000_000
      let digits = String(microseconds)
      let fraction = String(repeating: "0", count: 6 - digits.count) + digits
      var line = "\(seconds).\(fraction)"
      if step.peer >= 0 { line += " peer \(step.peer)" }
      return line + " \(step.code) \(step.first) \(step.second) \(step.text)"
    }
  }
}
