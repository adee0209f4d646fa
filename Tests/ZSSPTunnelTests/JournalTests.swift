// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOConcurrencyHelpers
import Testing
import ZSSP
import ZSSPTestSupport

@testable import ZSSPTunnel

/// The log of a tunnel.
@Suite(.tags(.fast))
struct JournalTests {
  /// Keeps what is logged.
  private struct Kept: LogHandler {
    let lines: NIOLockedValueBox<[(level: Logger.Level, text: String, metadata: Logger.Metadata)]>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let all = metadata.merging(event.metadata ?? [:]) { $1 }
      lines.withLockedValue { $0.append((event.level, "\(event.message)", all)) }
    }
  }

  private let lines = NIOLockedValueBox<[(level: Logger.Level, text: String, metadata: Logger.Metadata)]>([])

  private var journal: TunnelJournal {
    TunnelJournal(Logger(label: "t") { [lines] _ in Kept(lines: lines) }, interface: "t0")
  }

  private var logged: [(level: Logger.Level, text: String, metadata: Logger.Metadata)] { lines.withLockedValue { $0 } }

  @Test func eachLineHasItsLevelAndTheDevice() {
    let journal = journal
    journal.info("a", ["zssp.peer": "k"])
    journal.notice("b")
    journal.warning("c")
    journal.error("d")
    #expect(logged.map(\.level) == [.info, .notice, .warning, .error])
    #expect(logged.map(\.text) == ["a", "b", "c", "d"])
    #expect(logged.allSatisfy { $0.metadata["zssp.interface"] == "t0" } && logged[0].metadata["zssp.peer"] == "k")
  }

  /// One peer or stranger that causes many lines does not fill the disk, and hides no other peer.
  @Test func linesThatPeersCauseAreLimited() {
    let journal = journal
    for _ in 0..<100 { journal.limited(.session, of: 1, level: .info, "s", [:]) }
    for _ in 0..<100 { journal.limited(.stranger, of: nil, level: .info, "x", [:]) }
    journal.limited(.session, of: 2, level: .info, "s", [:])
    journal.limited(.end, of: 1, level: .info, "e", [:])
    #expect(logged.filter { $0.text == "s" }.count == LineLimit.lines + 1)
    #expect(logged.filter { $0.text == "x" }.count == LineLimit.lines)
    #expect(logged.last?.text == "e")
  }

  /// The first line of the next minute has the number of those that were left out, of its peer and
  /// kind alone.
  @Test func linesThatAreLeftOutAreCounted() {
    let journal = journal
    func log(_ kind: TunnelJournal.Kind, of peer: Int?, seconds: Int64) {
      journal.limited(kind, of: peer, level: .info, "s", [:], at: Instant(nanoseconds: seconds * 1_000_000_000))
    }
    for _ in 0..<100 { log(.session, of: 1, seconds: 0) }
    for _ in 0..<12 { log(.session, of: 2, seconds: 30) }
    log(.session, of: 1, seconds: 59)
    #expect(logged.count == 2 * LineLimit.lines && logged.allSatisfy { $0.metadata["zssp.suppressed"] == nil })
    log(.session, of: 1, seconds: 60)
    #expect(logged.last?.metadata["zssp.suppressed"] == "91")
    log(.session, of: 1, seconds: 60)
    log(.end, of: 1, seconds: 60)
    #expect(logged.suffix(2).allSatisfy { $0.metadata["zssp.suppressed"] == nil })
    log(.session, of: 2, seconds: 90)
    #expect(logged.last?.metadata["zssp.suppressed"] == "2")
    #expect(logged.count == 2 * LineLimit.lines + 4)
  }

  /// Lines below the level cost nothing of the limit, and many peers no memory without end.
  @Test func whatIsNotLoggedIsNotCounted() {
    let journal = journal
    for _ in 0..<100 { journal.limited(.session, of: 1, level: .debug, "s", [:]) }
    #expect(logged.isEmpty)
    journal.limited(.session, of: 1, level: .info, "s", [:])
    for peer in 2..<10_000 { journal.limited(.session, of: peer, level: .info, "s", [:]) }
    #expect(logged.count == 9999)
    #expect(journal.limitCount <= TunnelJournal.largestCount)
  }

  @Test func withoutALogger() { TunnelJournal(nil, interface: "t0").error("x") }
}
