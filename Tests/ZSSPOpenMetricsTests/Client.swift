// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import Testing

@testable import ZSSPOpenMetrics

/// A client on a plain socket, which sends whatever a test wants.
final class Client: Sendable {
  private let descriptor: CInt

  /// Connects to a server.
  init(_ address: MetricsAddress) throws {
    let place: SocketAddress
    switch address {
    case .tcp(let tcp): place = tcp
    case .unix(let path): place = try SocketAddress(unixDomainSocketPath: path)
    }
    #if os(Linux)
      let type = CInt(SOCK_STREAM.rawValue)
    #else
      let type = SOCK_STREAM
    #endif
    descriptor = socket(CInt(place.protocol.rawValue), type, 0)
    var limit = timeval(tv_sec: 300, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let connected = place.withSockAddr { connect(descriptor, $0, socklen_t($1)) }
    try #require(connected == 0, "\(address): \(String(cString: strerror(errno)))")
  }

  deinit { close(descriptor) }

  /// Sends bytes. Returns false if the server has closed the connection.
  @discardableResult
  func send(_ text: String) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Closes this side's half.
  func finish() { shutdown(descriptor, CInt(SHUT_WR)) }

  /// Reads until the server closes its half. It is an issue if it sends nothing for five minutes: the
  /// limit is for what never comes.
  func read() -> String {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = Foundation.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN { Issue.record("the server keeps the connection") }
      guard count > 0 else { return String(decoding: all, as: UTF8.self) }
      all += buffer[..<count]
    }
  }

  /// Sends a request, and returns the response.
  static func exchange(_ request: String, with address: MetricsAddress) throws -> Response {
    let client = try Client(address)
    client.send(request)
    return Response(client.read())
  }

  /// Makes a GET request.
  static func get(_ path: String, headers: String = "", from address: MetricsAddress) throws -> Response {
    try exchange("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(headers)\r\n", with: address)
  }
}

/// A response.
struct Response {
  let status: Int
  let headers: [String: String]
  let body: String

  /// Parses a response. Without one the status is 0.
  init(_ text: String) {
    let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    let lines = (parts.first ?? "").split(separator: "\r\n")
    let words = (lines.first ?? "").split(separator: " ")
    status = words.count > 1 ? Int(words[1]) ?? 0 : 0
    body = parts.count > 1 ? String(parts[1]) : ""
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      let pair = line.split(separator: ":", maxSplits: 1)
      if pair.count == 2 { headers[pair[0].lowercased()] = pair[1].trimmingCharacters(in: .whitespaces) }
    }
    self.headers = headers
  }
}
