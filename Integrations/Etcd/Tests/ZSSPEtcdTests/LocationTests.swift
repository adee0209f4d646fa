// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ZSSPEtcd

@Suite("Locations of stores in etcd")
struct LocationTests {
  private static let environment = [EtcdStoreOptions.passwordVariable: "from the environment"]

  @Test func everythingIsRead() throws {
    let options = try EtcdStoreOptions(
      location:
        "etcd://zs%40sp@node1:23790,192.0.2.7,[2001:db8::1]:2381/fleets/a?ca=/a%20b.pem&cert=c&key=k&server-name=etcd&timeout=5&call-timeout=0.5",
      environment: Self.environment)
    #expect(
      options.nodes == [
        .init(host: "node1", port: 23_790), .init(host: "192.0.2.7"), .init(host: "2001:db8::1", port: 2381),
      ])
    #expect(options.prefix == "/fleets/a")
    #expect(options.credentials == .init(user: "zs@sp", password: "from the environment"))
    var dumped = ""
    dump(options, to: &dumped)
    #expect(!dumped.contains("environment") && !"\(options)".contains("environment"))
    #expect(options.tls?.authority == "/a b.pem" && options.tls?.certificate == "c" && options.tls?.privateKey == "k")
    #expect(options.tls?.serverName == "etcd")
    #expect(options.timeout == .seconds(5) && options.callTimeout == .milliseconds(500))
    #expect(options.nodes[2].description == "[2001:db8::1]:2381")
  }

  @Test func littleIsNeeded() throws {
    let options = try EtcdStoreOptions(location: "etcd://node", environment: Self.environment)
    #expect(options.nodes == [.init(host: "node", port: 2379)] && options.prefix == "/zssp")
    // Nobody sends keys in the clear who did not say so.
    #expect(options.tls == EtcdStoreOptions.TLS() && options.credentials == nil)
    #expect(try EtcdStoreOptions(location: "etcd://node?tls=off", environment: [:]).tls == nil)
    #expect(try EtcdStoreOptions(location: "etcd://node/?tls=off", environment: [:]).prefix == "/zssp")
  }

  @Test func aPasswordComesFromAFile() throws {
    let folder = try Folder()
    try Data("from the file\n".utf8).write(to: URL(filePath: folder.path("password")))
    let location = "etcd://zssp@node?password-file=\(folder.path("password"))"
    let options = try EtcdStoreOptions(location: location, environment: Self.environment)
    #expect(options.credentials?.password == "from the file")
    try Data("\n".utf8).write(to: URL(filePath: folder.path("password")))
    #expect(throws: EtcdStoreError.badFile(path: folder.path("password"), reason: "has no password")) {
      try EtcdStoreOptions(location: location, environment: Self.environment)
    }
  }

  @Test(arguments: [
    ("http://node", "does not begin with etcd://"), ("etcd://", "no host"), ("etcd:///prefix", "no host"),
    ("etcd://a,,b", "a host is missing"), ("etcd://a:0", "else than a host and a port"),
    ("etcd://a:70000", "else than a host and a port"), ("etcd://2001:db8::1", "needs brackets"),
    ("etcd://[2001:db8::1", "a ] is missing"), ("etcd://@a", "user"), ("etcd://a/p/", "end in a slash"),
    ("etcd://a?what=1", "an unknown option"), ("etcd://a?ca", "value of an option is missing"),
    ("etcd://a?ca=%zz", "value of an option is missing"), ("etcd://a?tls=maybe", "on or off"),
    ("etcd://a?tls=off&ca=x", "exclude each other"), ("etcd://a?cert=x", "needs its private key"),
    ("etcd://a?ca=x&ca=y", "twice"), ("etcd://a?timeout=soon", "number of seconds"),
    ("etcd://a?timeout=1&call-timeout=2", "shorter"), ("etcd://u@a", "needs a password"),
    ("etcd://a?password-file=x", "needs a user"), ("etcd://u:secret@a", "must not be written here"),
    ("etcd://u:sec/ret@a", "must not be written here"),
    ("etcd://u:secret/@a", "must not be written here"), ("etcd://u:secret?x@a", "must not be written here"),
    ("etcd://a?password=secret", "an unknown option"), ("etcd://u@a?secret", "value of an option is missing"),
    ("etcd://a?secret=x&secret=y", "an option is there twice"), ("etcd://u:secret", "host and a port"),
    ("etcd://a?tls=secret", "on or off"), ("etcd://a?timeout=secret", "number of seconds"),
    ("etcd://u%3Asecret@a", "needs a password"), ("etcd://secret@", "no host"),
    ("secret", "does not begin with etcd://"),
  ])
  func whatIsWrongIsSaid(_ location: String, _ reason: String) throws {
    let error = #expect(throws: EtcdStoreError.self) { try EtcdStoreOptions(location: location, environment: [:]) }
    let text = try #require(error).description
    #expect(text.contains(reason) && !text.contains("secret") && !text.contains("sec/ret"), "\(text)")
  }
}
