// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

@testable import ZSSPTunnel

/// The socket over which a tunnel is asked and told.
@Suite(.tags(.slow), .ownThreads)
struct ControlSocketTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "zssp-\(UUID().uuidString.prefix(8))")
    .path

  /// A user who can connect can redirect traffic.
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

  /// Requests are small, however many clients there are: those of a group must not fill the memory
  /// of a process of root.
  @Test(arguments: [ControlSocket.statusRequestLimit, ControlSocket.requestLimit])
  func aRequestHasALimit(bytes: Int) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = "\(folder)/status"
    let server = try ControlServer(path: path, group: nil, requestLimit: bytes, { _ in .done("") }, answered: { _ in })
    defer { server.stop() }
    let client = ControlSocket.connect(to: path)
    try #require(client >= 0)
    defer { close(client) }
    // The server reads no more than this before it answers and leaves.
    let text = [UInt8](repeating: UInt8(ascii: "x"), count: bytes + 1)
    var sent = 0
    while sent < text.count {
      let count = text[sent...].withUnsafeBytes { send(client, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
      guard count > 0 else { break }
      sent += count
    }
    let response = try ControlSocket.read(ControlResponse.self, from: client)
    #expect(response == .refused("a message on the control socket is longer than \(bytes) bytes, the limit"))
    let next = ControlSocket.connect(to: path)
    try #require(next >= 0)
    defer { close(next) }
    // Without a limit of time, which "show" has.
    #expect(try ControlClient.exchange(.forgetPeer("b"), on: next, with: "t") == .done(""))
  }

  /// A change with as many prefixes as a command's argument can name is short enough.
  @Test func theLongestRequestFits() throws {
    var change = ControlRequest.PeerChange(publicKey: String(repeating: "0", count: 98))
    // An argument has at most 128 KiB; this is the shortest prefix, of which most are in it.
    change.allowedIPs = [String](repeating: "::/0", count: (128 << 10) / 5)
    #expect(try JSONEncoder().encode(ControlRequest.setPeer(change)).count < ControlSocket.requestLimit)
  }

  /// A refusal of the system differs from a wrong request: the commands' exit codes differ.
  @Test func aResponseKeepsItsKind() throws {
    var ends: [CInt] = [-1, -1]
    try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
    defer { for end in ends { close(end) } }
    for response in [ControlResponse.done("a"), .refused("b"), .failed("c")] {
      try ControlSocket.write(response, to: ends[0])
      #expect(try ControlSocket.read(ControlResponse.self, from: ends[1]) == response)
    }
  }

  /// The client waits for a change that takes longer than the socket's time limit. A tunnel that
  /// ends, or does not answer a request for its status, is an error of the system.
  @Test func aChangeIsWaitedFor() throws {
    var ends: [CInt] = [-1, -1]
    try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
    defer { close(ends[0]) }
    var limit = timeval()
    limit.tv_usec = 100_000
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let other = ends[1]
    #expect(throws: TunnelError.self) { try ControlClient.exchange(.show, on: ends[0], with: "t") }
    #expect(try ControlSocket.read(ControlRequest.self, from: other) == .show)
    let thread = Thread {
      Thread.sleep(forTimeInterval: 0.5)
      try? ControlSocket.write(ControlResponse.done("late"), to: other)
    }
    thread.start()
    #expect(try ControlClient.exchange(.reload, on: ends[0], with: "t") == .done("late"))
    close(other)
    let error = #expect(throws: TunnelError.self) { try ControlClient.exchange(.reload, on: ends[0], with: "t") }
    guard case .incomplete? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func aLineIsReadAsItWasWritten() throws {
    var ends: [CInt] = [-1, -1]
    try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
    defer { for end in ends { close(end) } }
    try ControlSocket.write(["a": 1], to: ends[0])
    #expect(try ControlSocket.read([String: Int].self, from: ends[1]) == ["a": 1])
  }
}
