// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOConcurrencyHelpers
import Testing
import ZSSP
import ZSSPTestSupport

@testable import ZSSPNIO

/// A trace file has whole lines, within its limit, and only its owner can read it.
@Suite(.tags(.slow), .timeLimit(.minutes(20)))
struct TraceFileTests {
  private static func path() -> String {
    FileManager.default.temporaryDirectory.appending(path: "trace-\(UUID().uuidString)").path
  }

  private static func lines(_ path: String) throws -> [[String: Any]] {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.hasSuffix("\n"))
    return try text.split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
  }

  @Test(arguments: [false, true]) func lines(isSynchronous: Bool) async throws {
    let path = Self.path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = try TraceFile(
      path: path, title: "a \"test\"", source: "simulation", lanes: ["0", "1"], isSynchronous: isSynchronous)
    for number in 0..<20_000 { file.write("{\"number\":\(number)}") }
    await file.flush()
    let lines = try Self.lines(path)
    #expect(lines[0]["zssp-trace"] as? Int == 1 && lines[0]["title"] as? String == "a \"test\"")
    #expect(lines[0]["lanes"] as? [String] == ["0", "1"])
    #expect(lines.dropFirst().compactMap { $0["number"] as? Int } == Array(0..<20_000))
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
    #expect(mode?.intValue == 0o600)
  }

  @Test func theLimit() async throws {
    let path = Self.path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = try TraceFile(path: path, title: "t", source: "endpoint", sizeLimit: 1000)
    for number in 0..<1000 { file.write("{\"number\":\(number)}") }
    await file.flush()
    let lines = try Self.lines(path)
    #expect(lines.last?["ev"] as? String == "end" && lines.count { $0["ev"] != nil } == 1)
    #expect(try Data(contentsOf: URL(filePath: path)).count < 1200)
  }

  @Test func aFileThatCannotBeWritten() throws {
    let path = Self.path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/nonexistent")
    for wrong in [path, "/nonexistent/trace", "/"] {
      #expect(throws: TraceFailure.self) { try TraceFile(path: wrong, title: "t", source: "endpoint") }
    }
  }

  #if os(Linux)
    /// The disk is full. It is said once, and the endpoint goes on.
    @Test func aFullDisk() async throws {
      let failures = NIOLockedValueBox<[String]>([])
      let file = try TraceFile(path: "/dev/full", title: "t", source: "endpoint") { text in
        failures.withLockedValue { $0.append(text) }
      }
      await file.flush()
      for _ in 0..<100 { file.write("{}") }
      await file.flush()
      #expect(failures.withLockedValue { $0.count } == 1)
    }
  #endif

  /// A session of two endpoints: both traces tell the same handshake.
  @Test func aSession() async throws {
    let paths = [Self.path(), Self.path()]
    defer { for path in paths { try? FileManager.default.removeItem(atPath: path) } }
    let files = try paths.map { try TraceFile(path: $0, title: "t", source: "endpoint") }
    var configurations = [makeConfiguration(quickSettings()), makeConfiguration(quickSettings())]
    for (index, file) in files.enumerated() { configurations[index].trace = file }
    let server = try await UDPEndpoint.bind(host: "127.0.0.1", port: 0, configuration: configurations[0])
    let client = try await UDPEndpoint.bind(host: "127.0.0.1", port: 0, configuration: configurations[1])
    let accepting = Task {
      for await incoming in server.incoming { _ = try await incoming.accept() }
    }
    let session = try await client.connect(to: server.localAddress, key: server.publicKey, timeout: .seconds(60))
    await session.close()
    await client.close()
    await server.close()
    try await accepting.value
    for file in files { await file.flush() }
    let sent = try Self.lines(paths[1]).filter { $0["ev"] as? String == "sent" }.compactMap { $0["kind"] as? String }
    let received = try Self.lines(paths[0]).filter { $0["ev"] as? String == "received" }
      .compactMap { $0["kind"] as? String }
    #expect(sent.prefix(1) == ["X1"] && sent.contains("X3") && sent.contains("C2") && sent.last == "D")
    #expect(received.contains("X1") && received.contains("X3"))
    for path in paths {
      let text = try String(contentsOfFile: path, encoding: .utf8)
      #expect(!text.contains(server.publicKey.text) && !text.contains(client.publicKey.text))
    }
  }
}
