// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport
import ZSSP

@testable import ZSSPTunnel

/// The memory and work that strangers and floods cannot increase.
@Suite(.tags(.fast))
struct BoundTests {
  /// Packets that go nowhere use up a turn of the event loop like others.
  @Test func everyPacketCounts() {
    var budget = ReadBudget()
    var packets = 0
    while !budget.isSpent, packets < ReadBudget.limit {
      budget.spend(0)
      packets += 1
    }
    #expect(packets == ReadBudget.limit / ReadBudget.packetCost)
  }

  @Test func strangersWriteSomeLines() {
    var lines = LineLimit()
    let written = (0..<1000 as Range<Int64>).filter { lines.allows(at: Instant(nanoseconds: $0)).isAllowed }
    #expect(written.count == LineLimit.lines)
    let begin = Instant(nanoseconds: 0)
    let next = lines.allows(at: begin.advanced(by: LineLimit.period))
    #expect(next.isAllowed && next.omitted == 1000 - LineLimit.lines)
    let last = lines.allows(at: begin.advanced(by: LineLimit.period * 2))
    #expect(last.isAllowed && last.omitted == 0)
  }

  @Test func theLogKeepsItsNewestLines() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "zssp-log-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let log = try TunnelLog(path: path)
    let writer = try #require(FileHandle(forWritingAtPath: path))
    for number in 0..<30_000 {
      try writer.seekToEnd()
      try writer.write(
        contentsOf: Data("line \(number) of those that are many and long enough to fill the file\n".utf8))
      if number % 100 == 99 { log.bound() }
    }
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.utf8.count <= TunnelLog.limit && text.utf8.count >= TunnelLog.limit / 4)
    #expect(
      text.hasPrefix("line ") && text.hasSuffix("line 29999 of those that are many and long enough to fill the file\n"))
  }

  /// The log is for its owner alone, and is not written through a link.
  @Test func theLogIsPrivate() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "zssp-log-\(UUID().uuidString)").path
    defer { for file in [path, "\(path)-link"] { try? FileManager.default.removeItem(atPath: file) } }
    _ = try TunnelLog(path: path)
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
    #expect(mode?.intValue == 0o600)
    try Data("mine".utf8).write(to: URL(filePath: path))
    try FileManager.default.createSymbolicLink(atPath: "\(path)-link", withDestinationPath: path)
    #expect(throws: TunnelError.self) { try TunnelLog(path: "\(path)-link") }
    #expect(try Data(contentsOf: URL(filePath: path)) == Data("mine".utf8))
  }
}
