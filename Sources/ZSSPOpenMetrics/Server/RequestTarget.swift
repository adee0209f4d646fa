// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1

/// The host and the path that a request is for (RFC 9112, section 3).
struct RequestTarget: Equatable {
  /// The host without its port; nil in a request of HTTP/1.0 that names none.
  let host: String?
  /// The path without its query.
  let path: String

  /// Reads the target of a request.
  ///
  /// - Returns: nil if the request does not name its host as HTTP asks for: not at all in HTTP/1.1,
  ///   more than once, or with an impossible name.
  init?(_ head: HTTPRequestHead) {
    let names = head.headers["Host"]
    guard names.count <= 1 else { return nil }
    var host: String?
    if let name = names.first {
      guard let named = Self.host(inAuthority: Self.trimmed(name)) else { return nil }
      host = named
    } else if head.version != .http1_0 {
      return nil
    }
    let target = head.uri[...]
    guard let end = target.firstRange(of: "://")?.upperBound, !target.hasPrefix("/") else {
      self.init(host: host, path: target)
      return
    }
    // The absolute form, which counts more than the header.
    guard target[..<end].lowercased() == "http://" else { return nil }
    let rest = target[end...]
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    guard let named = Self.host(inAuthority: authority), !named.isEmpty else { return nil }
    let path = rest[authority.endIndex...]
    self.init(host: named, path: path.hasPrefix("/") ? path : "/\(path)")
  }

  private init(host: String?, path: Substring) {
    self.host = host
    self.path = String(path.prefix { $0 != "?" })
  }

  /// True if the host is a name or an address of this host's loopback network, or not named at all.
  var isLoopback: Bool {
    guard let host else { return true }
    if host.lowercased() == "localhost" { return true }
    // A name may look like an address: 127.example.com.
    guard (try? SocketAddress(ipAddress: host, port: 0)) != nil else { return false }
    return MetricsAddress.isLoopback(host)
  }

  /// Returns a text without spaces and tabs around it, which do not belong to the value of a header.
  private static func trimmed(_ text: String) -> Substring {
    let rest = text[...].drop { $0 == " " || $0 == "\t" }
    guard let last = rest.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return "" }
    return rest[...last]
  }

  /// Returns the host of `host`, `host:port` or `[address]:port`; nil if the text is none of them
  /// (RFC 3986, section 3.2).
  private static func host(inAuthority text: Substring) -> String? {
    let isBracketed = text.hasPrefix("[")
    let host = (isBracketed ? text.dropFirst() : text).prefix { $0 != (isBracketed ? "]" : ":") }
    var rest = text[host.endIndex...]
    if isBracketed {
      guard rest.hasPrefix("]"), host.contains(":") else { return nil }
      rest = rest.dropFirst()
    }
    guard rest.isEmpty || rest.hasPrefix(":") && rest.dropFirst().utf8.allSatisfy(isDigit) else { return nil }
    guard host.utf8.allSatisfy(isOfName) || isBracketed && host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      return nil
    }
    return String(host)
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  /// Returns true for a character of a registered name: letters, digits, and punctuation that
  /// separates nothing in a URI.
  private static func isOfName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
    default: isDigit(byte) || "-._~%!$&'()*+,;=".utf8.contains(byte)
    }
  }
}
