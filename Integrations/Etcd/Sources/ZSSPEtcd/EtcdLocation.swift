// SPDX-License-Identifier: Apache-2.0
public import Foundation

extension EtcdStoreOptions {
  /// The environment variable for the user's password.
  public static let passwordVariable = "ZSSP_ETCD_PASSWORD"

  /// Parses `etcd://USER@HOST:PORT,HOST:PORT/PREFIX?OPTION=VALUE&…`.
  ///
  /// Only hosts are required. The default port is 2379, the default prefix `/zssp`. The options
  /// `ca`, `cert`, `key` and `password-file` name files; `server-name` is the name in the nodes'
  /// certificates; `tls=off` disables TLS; `timeout` and `call-timeout` are in seconds. A value may
  /// contain `%` and two hexadecimal digits for any byte.
  ///
  /// - Parameters:
  ///   - location: The text. A password in it is refused, because command lines are not secret.
  ///   - environment: Contains the password under ``passwordVariable``, unless a file does.
  /// - Throws: ``EtcdStoreError/badLocation(_:reason:)`` or
  ///   ``EtcdStoreError/badFile(path:reason:)``.
  public init(
    location: String, environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(EtcdStoreError) {
    let parts = try LocationParts(location)
    self.init(nodes: try parts.nodes())
    if let prefix = parts.prefix { self.prefix = prefix }
    var tls = TLS()
    var passwordFile: String?
    var isTLSOff = false
    for (name, value) in try parts.options() {
      switch name {
      case "ca": tls.authority = value
      case "cert": tls.certificate = value
      case "key": tls.privateKey = value
      case "server-name": tls.serverName = value
      case "password-file": passwordFile = value
      case "tls" where value == "off" || value == "on": isTLSOff = value == "off"
      case "tls": throw parts.failure("tls must be on or off")
      case "timeout": timeout = try parts.seconds(name, value)
      case "call-timeout": callTimeout = try parts.seconds(name, value)
      default:
        throw parts.failure(
          "there is an unknown option; known are ca, cert, key, server-name, tls, password-file, timeout, call-timeout")
      }
    }
    guard !isTLSOff || tls == TLS() else {
      throw parts.failure("tls=off and options of TLS exclude each other")
    }
    self.tls = isTLSOff ? nil : tls
    credentials = try parts.credentials(passwordFile, environment[Self.passwordVariable])
    do { try check() } catch {
      guard case .badLocation(_, let reason) = error else { throw error }
      throw parts.failure(reason)
    }
  }
}

/// The parts of a location, before they are interpreted.
///
/// A password may be in any part by mistake, so messages repeat only the names of known options.
private struct LocationParts {
  let user: String?
  let hosts: Substring
  let prefix: String?
  let query: Substring

  init(_ location: String) throws(EtcdStoreError) {
    guard location.hasPrefix("etcd://") else {
      throw Self.failure("does not begin with etcd://")
    }
    let rest = location.dropFirst("etcd://".count)
    let beforeQuery = rest.prefix { $0 != "?" }
    query = rest.dropFirst(beforeQuery.count + 1)
    let authority = beforeQuery.prefix { $0 != "/" }
    let path = beforeQuery.dropFirst(authority.count)
    prefix = path.count > 1 ? String(path) : nil
    guard !path.contains("@"), !query.contains("@") else {
      throw Self.failure(
        "there is an @ behind the hosts: a password must not be written here, and in a value an @ is written %40")
    }
    let end = authority.lastIndex(of: "@")
    hosts = end.map { authority[authority.index(after: $0)...] } ?? authority
    let name = end.map { authority[..<$0] }
    guard name?.contains(":") != true else {
      throw Self.failure(
        "a password must not be written here; use password-file=FILE or \(EtcdStoreOptions.passwordVariable)")
    }
    guard let name else {
      user = nil
      return
    }
    guard let decoded = name.removingPercentEncoding, !decoded.isEmpty else {
      throw Self.failure("the user in front of the @ is missing, or not what %-encoding is")
    }
    user = decoded
  }

  static func failure(_ reason: String) -> EtcdStoreError { .badLocation("etcd://…", reason: reason) }
  func failure(_ reason: String) -> EtcdStoreError { Self.failure(reason) }

  func nodes() throws(EtcdStoreError) -> [EtcdStoreOptions.Node] {
    guard !hosts.isEmpty else { throw failure("no host is named") }
    var nodes: [EtcdStoreOptions.Node] = []
    for text in hosts.split(separator: ",", omittingEmptySubsequences: false) { nodes.append(try node(text)) }
    return nodes
  }

  private func node(_ text: Substring) throws(EtcdStoreError) -> EtcdStoreOptions.Node {
    var host = text.prefix { $0 != ":" }
    var rest = text.dropFirst(host.count)
    if text.hasPrefix("[") {
      host = text.dropFirst().prefix { $0 != "]" }
      rest = text.dropFirst(host.count + 2)
      guard text.dropFirst(host.count + 1).hasPrefix("]") else {
        throw failure("a ] is missing behind an IPv6 address")
      }
    }
    guard !host.isEmpty else { throw failure("a host is missing") }
    guard !rest.isEmpty else { return EtcdStoreOptions.Node(host: String(host)) }
    guard rest.hasPrefix(":"), let port = UInt16(rest.dropFirst()), port > 0 else {
      throw failure("there is something else than a host and a port; an IPv6 address needs brackets")
    }
    return EtcdStoreOptions.Node(host: String(host), port: Int(port))
  }

  func options() throws(EtcdStoreError) -> [(String, String)] {
    var options: [(String, String)] = []
    for option in query.split(separator: "&") {
      let name = option.prefix { $0 != "=" }
      guard let value = option.dropFirst(name.count + 1).removingPercentEncoding, !value.isEmpty else {
        throw failure("the value of an option is missing, or not what %-encoding is")
      }
      guard !options.contains(where: { $0.0 == name }) else { throw failure("an option is there twice") }
      options.append((String(name), value))
    }
    return options
  }

  func seconds(_ name: String, _ value: String) throws(EtcdStoreError) -> Duration {
    guard let seconds = Double(value), seconds >= 0.001, seconds <= 3600 else {
      throw failure("\(name) must be a number of seconds, at most 3600")
    }
    return .seconds(seconds)
  }

  func credentials(_ file: String?, _ password: String?) throws(EtcdStoreError) -> EtcdStoreOptions.Credentials? {
    guard let user else {
      if file != nil { throw failure("password-file needs a user: etcd://USER@HOST") }
      return nil
    }
    if let file {
      let text: String
      do { text = try String(contentsOfFile: file, encoding: .utf8) } catch {
        throw .badFile(path: file, reason: "cannot be read as text")
      }
      let password = text.trimmingCharacters(in: .newlines)
      guard !password.isEmpty else { throw .badFile(path: file, reason: "has no password") }
      return EtcdStoreOptions.Credentials(user: user, password: password)
    }
    // A user that etcd identifies by a certificate needs no password, and must not be named here.
    guard let password, !password.isEmpty else {
      throw failure(
        "the user needs a password, in \(EtcdStoreOptions.passwordVariable) or in a file that password-file=FILE names"
      )
    }
    return EtcdStoreOptions.Credentials(user: user, password: password)
  }
}
