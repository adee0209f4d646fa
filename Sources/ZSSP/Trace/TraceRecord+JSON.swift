// SPDX-License-Identifier: Apache-2.0

/// A line of a trace: a JSON object, without a line feed.
package struct TraceLine: Sendable {
  /// The version of the format.
  package static let version = 1

  private var fields = ""

  /// Starts a line.
  package init() {}

  /// The JSON text.
  package var text: String { "{\(fields)}" }

  /// Adds a field with text.
  package mutating func add(_ name: String, _ value: String) { append(name, Self.quoted(value)) }
  /// Adds a field with an integer.
  package mutating func add(_ name: String, _ value: some BinaryInteger) { append(name, "\(value)") }
  /// Adds a field with a Boolean value.
  package mutating func add(_ name: String, _ value: Bool) { append(name, value ? "true" : "false") }
  /// Adds a field with a list of texts.
  package mutating func add(_ name: String, _ values: [String]) {
    append(name, "[" + values.map(Self.quoted).joined(separator: ",") + "]")
  }
  /// Adds a field with a time in seconds, with six decimals.
  package mutating func add(_ name: String, _ time: Duration) { append(name, Self.seconds(time.nanoseconds)) }

  private mutating func append(_ name: String, _ value: String) {
    if !fields.isEmpty { fields += "," }
    fields += "\"\(name)\":\(value)"
  }

  private static func seconds(_ nanoseconds: Int64) -> String {
    let microseconds = nanoseconds / 1000
    let magnitude = microseconds.magnitude
    let digits = String(magnitude % 1_000_000)
    let fraction = String(repeating: "0", count: 6 - digits.count) + digits
    return "\(microseconds < 0 ? "-" : "")\(magnitude / 1_000_000).\(fraction)"
  }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}

extension TraceRecord {
  /// Returns the record as a line of a trace.
  ///
  /// - Parameters:
  ///   - lane: The name of the endpoint.
  ///   - time: The time since the beginning of the trace.
  package func line(_ lane: String, at time: Duration) -> String {
    var line = TraceLine()
    line.add("t", time)
    line.add("at", lane)
    switch owner {
    case .endpoint: break
    case .session(let id): line.add("on", "session \(id)")
    case .halfOpen(let number): line.add("on", "half-open \(number)")
    }
    add(to: &line)
    return line.text
  }

  private func add(to line: inout TraceLine) {
    switch event {
    case .state(let state, let before, let ends, let resends):
      line.add("ev", "state")
      if let before { line.add("from", before) }
      line.add("to", state)
      line.add("section", Self.section(of: state))
      if let ends { line.add("ends", ends) }
      if let resends { line.add("resends", resends) }
    case .sent(let type, let size, let datagrams, let address):
      line.add("ev", "sent")
      add(type, to: &line)
      line.add("size", size)
      line.add("datagrams", datagrams)
      line.add("peer", "\(address)")
    case .received(let type, let size, let address):
      line.add("ev", "received")
      add(type, to: &line)
      line.add("size", size)
      line.add("peer", "\(address)")
    case .dropped(let type, let reason):
      line.add("ev", "dropped")
      if let type { add(type, to: &line) }
      line.add("reason", "\(reason)")
    case .timer(let name):
      line.add("ev", "timer")
      line.add("timer", name)
    case .event(let name, let details):
      line.add("ev", "event")
      line.add("event", name)
      if let details { line.add("details", details) }
    case .storeRequest, .storeAnswer, .work, .workDone, .acceptRequest, .acceptDecision: addRequest(to: &line)
    case .traffic, .drops, .omitted: addCounts(to: &line)
    }
  }

  private func add(_ type: PacketType, to line: inout TraceLine) {
    line.add("kind", type.name)
    line.add("section", type.section)
  }

  private func addRequest(to line: inout TraceLine) {
    switch event {
    case .storeRequest(let id, let name):
      line.add("ev", "store")
      line.add("request", id.value)
      line.add("op", name)
    case .storeAnswer(let id, let name, let isAwaited):
      line.add("ev", "storeAnswer")
      line.add("request", id.value)
      line.add("answer", name)
      if !isAwaited { line.add("late", true) }
    case .work(let id, let kind):
      line.add("ev", "work")
      line.add("request", id.value)
      line.add("kind", "\(kind)")
    case .workDone(let id, let hasFailed, let isAwaited):
      line.add("ev", "workDone")
      line.add("request", id.value)
      line.add("ok", !hasFailed)
      if !isAwaited { line.add("late", true) }
    case .acceptRequest(let id):
      line.add("ev", "accept")
      line.add("request", id.value)
    case .acceptDecision(let id, let name, let isAwaited):
      line.add("ev", "acceptAnswer")
      line.add("request", id.value)
      line.add("answer", name)
      if !isAwaited { line.add("late", true) }
    default: break
    }
  }

  private func addCounts(to line: inout TraceLine) {
    switch event {
    case .traffic(let datagramsIn, let datagramsOut, let messagesIn, let messagesOut):
      line.add("ev", "traffic")
      line.add("datagramsIn", datagramsIn)
      line.add("datagramsOut", datagramsOut)
      line.add("messagesIn", messagesIn)
      line.add("messagesOut", messagesOut)
    case .drops(let reason, let count):
      line.add("ev", "drops")
      line.add("reason", "\(reason)")
      line.add("count", count)
    case .omitted(let count):
      line.add("ev", "omitted")
      line.add("count", count)
    default: break
    }
  }

  /// Returns the section of the specification that a state belongs to. Section 11 has the times of
  /// all states.
  private static func section(of state: String) -> String {
    switch state {
    case "A1", "A3", "S1", "S2", "ended": "6, 11"
    case "R1", "R2": "7, 11"
    default: "6, 11"
    }
  }
}
