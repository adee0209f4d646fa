// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPRandom

/// The tables of states in the documentation and above the machines are those of the code.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct StateTableTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
    .standardizedFileURL

  private static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  /// One change of a session's state. A session that ends is afterwards in `ended`.
  private struct Edge: Hashable, CustomStringConvertible {
    static let ended = "ended"
    let from: String
    let to: String
    var description: String { "\(from) to \(to)" }
  }

  // MARK: The table of the architecture page

  /// A row: the state, what a timeout does, and what comes next.
  private struct Row {
    let state: String
    let timeout: String
    let next: String

    /// The changes that the row allows.
    var edges: Set<Edge> {
      var edges = Set(next.matches(of: /\b[ASR][123]\b/).map { Edge(from: state, to: String($0.output)) })
      if next.contains("ends it") || timeout.contains("ends") { edges.insert(Edge(from: state, to: Edge.ended)) }
      if timeout.contains("starts anew"), state != "A1" { edges.insert(Edge(from: state, to: "A1")) }
      return edges
    }
    /// The times of the timeout, in its own unit.
    var times: [Int] { timeout.matches(of: /[0-9]+/).compactMap { Int($0.output) } }
  }

  private static func rows() throws -> [Row] {
    let lines = try text("Documentation/architecture.md").split(separator: "\n")
    let head = try #require(lines.firstIndex { $0.hasPrefix("| state | machine |") })
    return lines[(head + 2)...].prefix { $0.hasPrefix("|") }.map { line in
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      return Row(state: cells[0], timeout: cells[5], next: cells[6])
    }
  }

  @Test func theTimeoutsOfTheTableAreTheDefaults() throws {
    let settings = Settings()
    let handshake = settings.handshakeTimeout
    let rekey = settings.rekeyTimeout
    var known: [String: [Duration]] = ["A1": [handshake], "A3": [handshake], "B2": [handshake]]
    for state in ["S1", "R1", "R2"] { known[state] = [rekey] }
    known["S2"] = [settings.rekeyAfter - settings.rekeyJitter, settings.rekeyAfter]
    let rows = try Self.rows()
    #expect(Set(rows.map(\.state)) == Set(known.keys))
    for row in rows {
      let unit = row.timeout.contains("min") ? 60 : 1
      #expect(row.times.map { Duration.seconds($0 * unit) } == known[row.state], "\(row.state)")
    }
  }

  // MARK: What sessions do

  /// Follows the states of both sides' sessions.
  private struct Observer {
    private var states: [SessionID: String] = [:]
    private var eventsSeen = 0
    var edges: Set<Edge> = []

    /// Looks at the sessions of `peer`, after a step in which each of them changed its state once
    /// at most.
    mutating func look(at peer: TestPeer, with other: TestPeer) {
      var reasons: [SessionID: EndReason] = [:]
      for case .ended(let id, let reason) in peer.events.dropFirst(eventsSeen) { reasons[id] = reason }
      eventsSeen = peer.events.count
      for (id, state) in states where peer.state(id) == nil {
        states[id] = nil
        // What the table has is the end of a state. Any state ends when it is closed or another
        // session replaces it.
        switch reasons[id] {
        case .rejected, .notConfirmed, .rekeyTimeout: edges.insert(Edge(from: state, to: Edge.ended))
        default: break
        }
      }
      for id in peer.sessions(with: other.publicKey) {
        guard let state = peer.state(id) else { continue }
        // A session begins in A1 on the side that opens it, and comes out of B2 on the other.
        let before = states.updateValue(state, forKey: id) ?? (state == "A1" ? state : "B2")
        if before != state { edges.insert(Edge(from: before, to: state)) }
      }
    }
  }

  /// An event in one step of a random walk.
  private enum Step: CaseIterable {
    case open, rekey, deliver, lose, silence, wait
  }

  /// A pair that opens, re-keys, refuses, loses packets, and is cut off, as the seed says.
  private func walk(seed: UInt64) throws -> Set<Edge> {
    var random = SplitMix64(seed: seed)
    var settings = Settings()
    settings.rekeyBurst = 1_000
    let pair = try Pair(provider: FastCrypto(seed: seed), settings: settings)
    var ofAlice = Observer()
    var ofBob = Observer()
    let refuses = seed % 4 == 0
    pair.bob.decide = { _ in refuses ? .reject(silently: false) : .accept(.opportunistic) }
    func look() {
      pair.collect()
      ofAlice.look(at: pair.alice, with: pair.bob)
      ofBob.look(at: pair.bob, with: pair.alice)
    }
    for _ in 0..<120 {
      let isAlice = random.next() % 2 == 0
      let (side, other) = isAlice ? (pair.alice, pair.bob) : (pair.bob, pair.alice)
      switch Step.allCases.randomElement(using: &random) {
      case .open:
        if side.sessionCount == 0 { _ = try side.open(to: other, at: pair.now) }
      case .rekey:
        if let id = side.sessions(with: other.publicKey).first { _ = side.rekey(id, at: pair.now) }
      case .deliver, nil:
        for _ in 0..<4 {
          pair.deliverOne()
          look()
        }
      case .lose: _ = pair.intercept()
      case .silence:
        guard random.next() % 8 == 0 else { break }
        // Nothing arrives for a minute and a half, so that whatever waits comes to its end.
        for _ in 0..<90 {
          _ = pair.intercept()
          pair.skip(.seconds(1))
          pair.alice.advance(to: pair.now)
          pair.bob.advance(to: pair.now)
          look()
        }
      case .wait:
        pair.skip(.milliseconds(1_000))
        pair.alice.advance(to: pair.now)
        pair.bob.advance(to: pair.now)
      }
      look()
    }
    return ofAlice.edges.union(ofBob.edges)
  }

  @Test(.long) func sessionsChangeTheirStatesAsTheTableSays() throws {
    var seen: Set<Edge> = []
    for seed in 1...200 { seen.formUnion(try walk(seed: UInt64(seed))) }
    let allowed = try Self.rows().reduce(into: Set<Edge>()) { $0.formUnion($1.edges) }
    #expect(seen.subtracting(allowed).map(\.description).sorted() == [], "not in the table")
    #expect(allowed.subtracting(seen).map(\.description).sorted() == [], "in the table alone")
  }

  // MARK: The tables above the machines

  /// The cases of the private states of a machine, in order, and how many rows its table has. A
  /// case without a row, or a row that is left over, changes the number.
  @Test(arguments: [
    ("Opening", ["loading", "computing", "sent", "completed"], 4),
    (
      "HalfOpenHandshake",
      [
        "readingHello", "lookingUp", "verifying", "revoking", "unwritten", "responding", "waiting", "readingCompletion",
        "asking", "loading", "storing",
      ], 11
    ),
    ("Confirmation", ["unconfirmed", "confirmed"], 2),
    ("Rekey", ["idle", "initiated", "answered"], 3),
  ])
  func eachStateOfAMachineHasARow(machine: String, states: [String], rows: Int) throws {
    let lines = try Self.text("Sources/ZSSP/Session/\(machine).swift").split(separator: "\n")
    let start = try #require(lines.firstIndex { $0.contains("private enum State {") })
    let cases = lines[(start + 1)...].prefix { !$0.hasPrefix("  }") }
      .compactMap { $0.firstMatch(of: /^ +(?:indirect )?case ([a-zA-Z]+)/).map { String($0.1) } }
    #expect(cases == states)
    let table = lines.prefix(start).filter { $0.hasPrefix("/// | ") && !$0.hasPrefix("/// | state ") }
    #expect(table.count == rows && rows == cases.count)
  }
}
