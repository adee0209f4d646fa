// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

@testable import ZSSPTunnel

/// The socket over which a tunnel is asked and told.
@Suite(.tags(.fast))
struct ControlSocketTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "zssp-\(UUID().uuidString.prefix(8))")
    .path

  /// Whoever can connect can redirect traffic.
  @Test func onlyItsOwnerCanUseIt() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = "\(folder)/control"
    let server = try ControlServer(path: path, group: nil, { _ in .done("") }, answered: { _ in })
    defer { server.stop() }
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
    #expect(mode?.intValue == 0o600)
  }

  /// A line that does not end is not kept for ever.
  @Test func aLineHasALimit() throws {
    var ends: [CInt] = [-1, -1]
    try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
    let reader = ends[0]
    let writer = ends[1]
    let thread = Thread {
      // A string of JSON, which could be read if it were shorter.
      let text = [UInt8(ascii: "\"")] + [UInt8](repeating: UInt8(ascii: "x"), count: 65 << 20) + Array("\"\n".utf8)
      var sent = 0
      while sent < text.count {
        let count = text[sent...].withUnsafeBytes { send(writer, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
        guard count > 0 else { break }
        sent += count
      }
      close(writer)
    }
    thread.start()
    #expect(throws: TunnelError.self) { try ControlSocket.read(String.self, from: reader) }
    // The writer ends with it.
    close(reader)
  }

  @Test func aLineIsReadAsItWasWritten() throws {
    var ends: [CInt] = [-1, -1]
    try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
    defer { for end in ends { close(end) } }
    try ControlSocket.write(["a": 1], to: ends[0])
    #expect(try ControlSocket.read([String: Int].self, from: ends[1]) == ["a": 1])
  }
}
