// SPDX-License-Identifier: Apache-2.0
public import Logging
public import ZSSP

/// Where etcd is, and how an ``EtcdRatchetStore`` works.
public struct EtcdStoreOptions: Sendable {
  /// One node of the cluster, as clients reach it.
  public struct Node: Sendable, Hashable, CustomStringConvertible {
    /// A name, or an address: 192.0.2.1, or 2001:db8::1 without brackets.
    public var host: String
    /// The port for clients.
    public var port: Int

    /// A node at this host, on etcd's usual port unless another is given.
    public init(host: String, port: Int = 2379) { (self.host, self.port) = (host, port) }

    /// `host:port`, with brackets around an IPv6 address.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
  }

  /// How connections are protected. The files are PEM.
  public struct TLS: Sendable, Hashable {
    /// The certificates that a node's must come from; those that the system trusts if none.
    public var authority: String?
    /// Our certificate, with those above it, if etcd asks for one.
    public var certificate: String?
    /// The private key of ``certificate``.
    public var privateKey: String?
    /// The name that the nodes' certificates are for, if it is not the host.
    public var serverName: String?

    /// The system's trust, and no certificate of our own.
    public init() {}
  }

  /// Who we are to etcd.
  public struct Credentials: Sendable, Hashable {
    /// The user's name.
    public var user: String
    /// The user's password.
    public var password: String

    /// A user with a password.
    public init(user: String, password: String) { (self.user, self.password) = (user, password) }
  }

  /// Nodes of one cluster. One that fails is left for the next.
  public var nodes: [Node]
  /// What the keys in etcd begin with. Different prefixes are different stores.
  public var prefix = "/zssp"
  /// How connections are protected; nil for not at all, which shows keys to everyone on the way.
  public var tls: TLS? = TLS()
  /// The user, where etcd asks for one.
  public var credentials: Credentials?
  /// The key under which states are encrypted in etcd, 32 bytes. Whether a store is encrypted is decided when it is made.
  public var key: Secret?
  /// How long one call waits for its node, which is then left for the next.
  public var callTimeout = Duration.seconds(2)
  /// How long a request goes on trying; calls that are under way then are still waited for. Longer than an election in the cluster, which by default takes one to two seconds.
  public var timeout = Duration.seconds(10)
  /// The pause before a call is repeated: at first, and at most. It doubles, and a random part of up to half is left out.
  public var pause = (first: Duration.milliseconds(50), longest: Duration.seconds(1))
  /// Where the store logs: that it is opened, that etcd begins to fail, that it works again, and that the store is closed. Never keys,
  /// states or passwords. Nowhere if nil, the default.
  public var logger: Logger?
  /// Is told when etcd begins to fail: once, until it has worked again.
  public var onFailure: (@Sendable (EtcdStoreError) -> Void)?

  /// The defaults, for these nodes.
  public init(nodes: [Node]) { self.nodes = nodes }

  /// Throws if something cannot be as it is.
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
  /// The user alone.
  public var description: String { user }
  /// Has no children, so `dump` shows no more than the description.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}
