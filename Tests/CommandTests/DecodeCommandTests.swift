// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

@Suite("zssp decode", .tags(.slow), .ownThreads, .timeLimit(.minutes(20)))
struct DecodeCommandTests {
  /// A capture of raw IP packets with datagrams from 192.0.2.1 to 192.0.2.2, one a second.
  static func capture(_ datagrams: [[UInt8]], port: UInt16 = 20763, link: Int = 101) -> Data {
    func little(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    func big(_ value: Int) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }
    var bytes: [UInt8] = [0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0] + little(262_144) + little(link)
    for (index, datagram) in datagrams.enumerated() {
      let size = datagram.count
      let ip: [UInt8] = [0x45, 0] + big(28 + size) + [0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]
      let udp = big(4000) + big(Int(port)) + big(8 + size) + [0, 0]
      bytes += little(1_700_000_000 + index) + little(0) + little(28 + size) + little(28 + size) + ip + udp + datagram
    }
    return Data(bytes)
  }

  private static let datagram: [UInt8] = [1, 2, 3, 4] + [UInt8](repeating: 9, count: 96)
  private static let line = "22:13:20.000000 192.0.2.1:4000 > 192.0.2.2:20763: key id 01020304, 100 bytes\n"

  private func write(_ capture: Data, with tool: Tool) throws -> String {
    let path = tool.path("capture")
    try capture.write(to: URL(filePath: path))
    return path
  }

  @Test func aCaptureInAFileAndOnStandardInput() throws {
    let tool = try Tool()
    let path = try write(Self.capture([Self.datagram]), with: tool)
    let file = try tool.run("decode", path)
    #expect(file.exitCode == 0 && file.output.hasPrefix(Self.line), "\(file)")
    #expect(file.output.contains("1 datagrams of ZSSP in 1 frames"))
    let piped = try tool.shell(#"exec "$0" decode - < capture"#, in: tool.folder.path)
    #expect(piped.exitCode == 0 && piped.output == file.output, "\(piped)")
    let lines = try tool.run("decode", "--json", path).output.split(separator: "\n")
    #expect(lines.count == 2)
    for line in lines { _ = try JSONSerialization.jsonObject(with: Data(line.utf8)) }
  }

  @Test func portsAndFields() throws {
    let tool = try Tool()
    let path = try write(Self.capture([Self.datagram], port: 9), with: tool)
    #expect(try tool.run("decode", path).output.hasPrefix("0 datagrams of ZSSP"))
    #expect(try tool.run("decode", path, "--port", "8", "--port", "9").output.contains("key id 01020304"))
    let verbose = try tool.run("decode", path, "--port", "9", "-v").output
    #expect(verbose.contains("\n    frame 1, IP packet of 128 bytes, may be cut\n"), "\(verbose)")
    #expect(try tool.run("decode", path, "--port", "0").exitCode == 2)
  }

  @Test func damagedCaptures() throws {
    let tool = try Tool()
    let capture = Self.capture([Self.datagram, Self.datagram])
    let path = try write(capture.dropLast(1), with: tool)
    let cut = try tool.run("decode", path)
    #expect(cut.exitCode == 1 && cut.output.hasPrefix(Self.line), "\(cut)")
    #expect(cut.errors.contains("\(path): the capture ends within the record at byte 168"), "\(cut)")
    let text = try write(Data("no capture".utf8), with: tool)
    let wrong = try tool.run("decode", text)
    #expect(wrong.exitCode == 2 && wrong.errors.contains("neither pcap nor pcapng"), "\(wrong)")
    for missing in ["missing", tool.folder.path] {
      let result = try tool.run("decode", missing)
      #expect(result.exitCode != 0 && result.errors.contains(missing), "\(result)")
    }
  }

  @Test func keyLogsThatCannotBeUsed() throws {
    let tool = try Tool()
    let path = try write(Self.capture([Self.datagram]), with: tool)
    let keys = tool.path("keys")
    try Data("# a comment\nCLIENT_RANDOM 00 00\n".utf8).write(to: URL(filePath: keys))
    let result = try tool.run("decode", path, "--keys", keys)
    #expect(result.exitCode == 2 && result.errors.contains("\(keys), line 2: the line begins with"), "\(result)")
    try Data("# a comment\n".utf8).write(to: URL(filePath: keys))
    let empty = try tool.run("decode", path, "--keys", keys)
    #expect(empty.exitCode == 0 && empty.errors.contains("the key log has no keys"), "\(empty)")
    let without = try tool.run("decode", path, "-w", tool.path("inner"))
    #expect(without.exitCode == 2 && without.errors.contains("needs --keys"), "\(without)")
  }

  @Test func innerPacketsAreWrittenForTheirOwnerOnly() throws {
    let tool = try Tool()
    let path = try write(Self.capture([Self.datagram]), with: tool)
    let keys = tool.path("keys")
    let key = String(repeating: "01", count: 32)
    let line = "ZSSP1 SESSION initiator 01020304 05060708 " + Array(repeating: key, count: 6).joined(separator: " ")
    try Data(line.utf8).write(to: URL(filePath: keys))
    let inner = tool.path("inner")
    try Data("old".utf8).write(to: URL(filePath: inner))
    let result = try tool.run("decode", path, "--keys", keys, "-w", inner)
    #expect(result.exitCode == 0 && result.errors.contains("0 inner packets"), "\(result)")
    let attributes = try FileManager.default.attributesOfItem(atPath: inner)
    #expect(attributes[.posixPermissions] as? Int == 0o600)
    #expect(attributes[.size] as? Int == 60)
  }

  @Test func whatIsReadIsNotReplaced() throws {
    let tool = try Tool()
    let path = try write(Self.capture([Self.datagram]), with: tool)
    let keys = tool.path("keys")
    try Data("# a comment\n".utf8).write(to: URL(filePath: keys))
    let link = tool.path("link")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
    for input in [path, keys, link] {
      let before = try Data(contentsOf: URL(filePath: input))
      let result = try tool.run("decode", path, "--keys", keys, "-w", input)
      #expect(result.exitCode == 2 && result.errors.contains("name another file"), "\(result)")
      #expect(try Data(contentsOf: URL(filePath: input)) == before)
    }
  }

  /// A hyphen is standard output: of a tunnel's packets, in place of the lines.
  @Test func innerPacketsOnStandardOutput() throws {
    let tool = try Tool()
    _ = try write(Self.capture([Self.datagram]), with: tool)
    let key = String(repeating: "01", count: 32)
    let line = "ZSSP1 SESSION initiator 01020304 05060708 " + Array(repeating: key, count: 6).joined(separator: " ")
    try Data(line.utf8).write(to: URL(filePath: tool.path("keys")))
    let result = try tool.shell(#""$0" decode capture --keys keys -w - > inner"#, in: tool.folder.path)
    #expect(result.exitCode == 0 && result.errors.hasSuffix("standard output: 0 inner packets\n"), "\(result)")
    #expect(try Data(contentsOf: URL(filePath: tool.path("inner"))).count == 60)
    #expect(!FileManager.default.fileExists(atPath: tool.path("-")))
    for more in ["--json", "-v"] {
      let refused = try tool.run(in: tool.folder.path, ["decode", "capture", "--keys", "keys", "-w", "-", more])
      #expect(refused.exitCode == 2 && refused.errors.contains("--write -"), "\(refused)")
    }
    let empty = try tool.run(in: tool.folder.path, ["decode", "capture", "--keys", "keys", "-w", ""])
    #expect(empty.exitCode == 2 && empty.errors.contains("--write: is empty"), "\(empty)")
  }

  /// Frames whose headers are not known are no success.
  @Test func aLinkThatIsNotKnown() throws {
    let tool = try Tool()
    let path = try write(Self.capture([Self.datagram], link: 105), with: tool)
    let result = try tool.run("decode", path)
    #expect(
      result.exitCode == 2 && result.errors.contains("1 of 1 frames are of a link that is not known"), "\(result)")
    #expect(result.output.contains("of links that are not known: 1 (link type 105)"), "\(result)")
    #expect(try tool.run("decode", path, "--json").output.contains("\"unknown_link\":105"))
    // No frame, nothing that is not known.
    #expect(try tool.run("decode", write(Self.capture([], link: 105), with: tool)).exitCode == 0)
  }

  /// Printed lines never go into a file that gets the number of standard output.
  @Test(arguments: ["decode capture", "keygen --force key", "version", "--help", "ping 127.0.0.1:1 --peer \(validKey)"])
  func standardOutputThatIsClosed(arguments: String) throws {
    let tool = try Tool()
    _ = try write(Self.capture([Self.datagram]), with: tool)
    let closed = try tool.shell("exec \"$0\" \(arguments) >&-", in: tool.folder.path)
    #expect(closed.exitCode == 1, "\(closed)")
    #expect(closed.errors.contains("standard output: cannot be written: Bad file descriptor"), "\(closed)")
    #expect(try Data(contentsOf: URL(filePath: tool.path("capture"))) == Self.capture([Self.datagram]))
    #if os(Linux)
      let full = try tool.shell("exec \"$0\" \(arguments) >/dev/full", in: tool.folder.path)
      #expect(full.exitCode == 1 && full.errors.contains("No space left"), "\(full)")
    #endif
  }

  @Test func standardInputThatIsClosed() throws {
    let tool = try Tool()
    let result = try tool.shell(#"exec "$0" decode - <&-"#, in: tool.folder.path)
    #expect(result.exitCode == 1 && result.errors.contains("standard input: cannot be read"), "\(result)")
  }

  @Test func aReaderThatLeaves() throws {
    let tool = try Tool()
    _ = try write(Self.capture(Array(repeating: Self.datagram, count: 20_000)), with: tool)
    let result = try tool.shell(#""$0" decode capture | head -n 1"#, in: tool.folder.path)
    #expect(result.output == Self.line)
    #expect(result.errors.isEmpty, "\(result.errors)")
  }
}
