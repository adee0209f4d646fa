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

  /// A file that is there already becomes private and empty, unless another user has it.
  @Test func aFileThatIsThere() throws {
    let path = Self.path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data("old".utf8).write(to: URL(filePath: path))
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
    _ = try TraceFile(path: path, title: "t", source: "simulation", isSynchronous: true)
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
    #expect(mode?.intValue == 0o600)
    #expect(try !String(contentsOfFile: path, encoding: .utf8).contains("old"))
    guard getuid() == 0 else { return }
    try Data("theirs".utf8).write(to: URL(filePath: path))
    try #require(chown(path, 65_534, 65_534) == 0)
    #expect(throws: TraceFailure.self) { try TraceFile(path: path, title: "t", source: "endpoint") }
    #expect(try Data(contentsOf: URL(filePath: path)) == Data("theirs".utf8))
  }

  /// A command that is refused later must not have emptied the trace of a running one.
  @Test func aTraceThatIsBeingWrittenStays() async throws {
    let path = Self.path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let first = try TraceFile(path: path, title: "first", source: "endpoint")
    await first.flush()
    let before = try Data(contentsOf: URL(filePath: path))
    let failure = #expect(throws: TraceFailure.self) {
      try TraceFile(path: path, title: "second", source: "endpoint")
    }
    #expect(failure?.reason.contains("another trace") == true, "\(String(describing: failure))")
    #expect(try !before.isEmpty && Data(contentsOf: URL(filePath: path)) == before)
    first.write("{\"number\":1}")
    await first.flush()
    #expect(try Self.lines(path).count == 2)
  }

  /// A reader that is too slow costs lines, which are counted, and no memory without end.
  @Test func linesThatDoNotFitAreCounted() async throws {
    let path = Self.path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    try #require(mkfifo(path, 0o600) == 0)
    // The first end must be there before the other opens; it does not read yet.
    let reader = open(path, O_RDONLY | O_NONBLOCK)
    try #require(reader >= 0)
    let text = String(repeating: "x", count: 1000)
    let file = try TraceFile(path: path, title: "t", source: "endpoint")
    for number in 0..<20_000 { file.write("{\"number\":\(number),\"text\":\"\(text)\"}") }
    async let reading = withCheckedContinuation { continuation in
      Thread { continuation.resume(returning: Self.readAll(reader, until: "{\"number\":20000}\n")) }.start()
    }
    await file.flush()
    file.write("{\"number\":20000}")
    await file.flush()
    let bytes = await reading
    // What the pipe holds, what is being written, and what waits.
    #expect(bytes.count < 10 << 20, "\(bytes.count)")
    let lines = try String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
    let omitted = lines.filter { $0["ev"] as? String == "omitted" }.compactMap { $0["count"] as? Int }
    let numbers = lines.compactMap { $0["number"] as? Int }
    #expect(numbers == numbers.sorted() && numbers.last == 20_000)
    #expect(omitted.reduce(0, +) > 0 && omitted.reduce(numbers.count, +) == 20_001)
  }

  /// Reads up to a last line, and closes.
  private static func readAll(_ descriptor: CInt, until last: String) -> [UInt8] {
    defer { close(descriptor) }
    _ = fcntl(descriptor, F_SETFL, 0)
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return all }
      all += buffer[..<count]
      if all.suffix(last.utf8.count).elementsEqual(last.utf8) { return all }
    }
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
    let session = try await client.connect(
      to: server.localAddress, key: server.publicKey, identity: Array("an identity".utf8), timeout: .seconds(60))
    try await session.send(Array("a message".utf8))
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
      #expect(!text.contains("an identity") && !text.contains("a message"))
    }
  }
}
