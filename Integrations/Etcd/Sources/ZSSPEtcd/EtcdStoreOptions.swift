// SPDX-License-Identifier: Apache-2.0
public import Logging
public import ZSSP

/// The location of etcd, and the options of an ``EtcdRatchetStore``.
public struct EtcdStoreOptions: Sendable {
  /// A node of the cluster, as clients reach it.
  public struct Node: Sendable, Hashable, CustomStringConvertible {
    /// The host name, or an address: 192.0.2.1, or 2001:db8::1 without brackets.
    public var host: String
    /// The port for clients. The default is 2379.
    public var port: Int

    /// Makes a node at this host.
    public init(host: String, port: Int = 2379) {
      self.host = host
      self.port = port
    }

    /// `host:port`, with brackets around an IPv6 address.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
  }

  /// The protection of connections. The files are PEM.
  public struct TLS: Sendable, Hashable {
    /// The path of the certificates that must have issued a node's; nil for those that the system
    /// trusts.
    public var authority: String?
    /// The path of the client certificate and its chain, if etcd requests one.
    public var certificate: String?
    /// The path of the private key of ``certificate``.
    public var privateKey: String?
    /// The name in the nodes' certificates; nil for the host.
    public var serverName: String?

    /// Makes options that use the system's trust, without a client certificate.
    public init() {}
  }

  /// The identity of this client for etcd.
  public struct Credentials: Sendable, Hashable {
    /// The user's name.
    public var user: String
    /// The user's password.
    public var password: String

    /// Makes credentials of a user with a password.
    public init(user: String, password: String) {
      self.user = user
      self.password = password
    }
  }

  /// The nodes of one cluster. After a failure, the next one is used.
  public var nodes: [Node]
  /// The prefix of the keys in etcd, `/zssp` by default. Different prefixes are different stores.
  public var prefix = "/zssp"
  /// The protection of connections; nil for none, which exposes ratchet keys on the network unless
  /// states are encrypted.
  public var tls: TLS? = TLS()
  /// The user, if etcd requires one.
  public var credentials: Credentials?
  /// The key of 32 bytes that encrypts states in etcd; nil for none. It is fixed when the store is
  /// created.
  public var key: Secret?
  /// The time that a call waits for its node before the next one is used. The default is 2 s.
  public var callTimeout = Duration.seconds(2)
  /// The time for which a request is retried, 10 s by default. Calls under way then are still
  /// awaited. It should exceed the time of an election in the cluster, which is one to two seconds
  /// by default.
  public var timeout = Duration.seconds(10)
  /// The first and the longest pause before a call is repeated. The pause doubles, and is shortened
  /// at random by up to half.
  public var pause = (first: Duration.milliseconds(50), longest: Duration.seconds(1))
  /// The log of the store: opened, etcd starts to fail, works again, closed. It never has keys,
  /// states or passwords. The default is nil: no log.
  public var logger: Logger?
  /// Called when etcd starts to fail: once, until it has worked again.
  public var onFailure: (@Sendable (EtcdStoreError) -> Void)?

  /// Makes default options for these nodes.
  public init(nodes: [Node]) { self.nodes = nodes }

  /// Checks the options.
  ///
  /// - Throws: ``EtcdStoreError/badLocation(_:reason:)`` or ``EtcdStoreError/keySize(_:)``.
  func check() throws(EtcdStoreError) {
    func fail(_ reason: String) -> EtcdStoreError { .badLocation("etcd", reason: reason) }
    guard !nodes.isEmpty else { throw fail("no node is named") }
    for node in nodes where node.host.isEmpty || !(1...65_535).contains(node.port) {
      throw fail("\(node): not a host and a port")
    }
    guard !prefix.isEmpty, !prefix.hasSuffix("/") else {
      throw fail("the prefix '\(prefix)' must not be empty or end in a slash")
    }
    guard prefix.utf8.count <= 512 else { throw fail("the prefix is longer than 512 bytes") }
    guard callTimeout > .zero, timeout >= callTimeout else {
      throw fail("the timeout of a request must not be shorter than that of a call, which must be positive")
    }
    if let key, key.count != 32 { throw .keySize(key.count) }
    if let tls, (tls.certificate == nil) != (tls.privateKey == nil) {
      throw fail("a certificate needs its private key, and a private key its certificate")
    }
  }
}

extension EtcdStoreOptions.Credentials: CustomStringConvertible, CustomReflectable {
  /// The user, without the password.
  public var description: String { user }
  /// A mirror without children, so that `dump` shows only the description.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}
