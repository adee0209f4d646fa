// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSP

@testable import ZSSPEtcd

extension OverEtcd {
  @Suite(
    "TLS, users and passwords", .timeLimit(.minutes(20)))
  struct SecurityTests {
    /// Certificates of an authority of the test's own, made by openssl.
    private struct Certificates {
      let folder: Folder

      init() throws {
        folder = try Folder()
        for authority in ["ca", "other"] {
          try openssl(
            "req", "-x509", "-nodes", "-subj", "/CN=\(authority)", "-days", "2", "-keyout", path("\(authority).key"),
            "-out", path("\(authority).pem"))
        }
        try make("node", by: "ca", extensions: "subjectAltName=DNS:localhost,DNS:etcd.fleet")
        try make("client", by: "ca", extensions: "extendedKeyUsage=clientAuth")
        try make("stranger", by: "other", extensions: "extendedKeyUsage=clientAuth")
      }

      func path(_ name: String) -> String { folder.path(name) }

      private func make(_ name: String, by authority: String, extensions: String) throws {
        try Data(extensions.utf8).write(to: URL(filePath: path("\(name).ext")))
        try openssl(
          "req", "-new", "-nodes", "-subj", "/CN=\(name)", "-keyout", path("\(name).key"), "-out", path("\(name).csr"))
        try openssl(
          "x509", "-req", "-in", path("\(name).csr"), "-CA", path("\(authority).pem"), "-CAkey",
          path("\(authority).key"),
          "-CAcreateserial",
          "-days", "2", "-extfile", path("\(name).ext"), "-out", path("\(name).pem"))
      }

      private func openssl(_ command: String, _ arguments: String...) throws {
        let keys = command == "req" ? ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] : []
        let process = Process()
        process.executableURL = URL(filePath: try #require(Etcd.find("openssl"), "openssl is not installed"))
        process.arguments = [command] + keys + arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "openssl \(command) \(arguments)")
      }
    }

    private func works(_ options: EtcdStoreOptions) async throws {
      let store = try await EtcdRatchetStore.open(options, provider: .fastest)
      let peer = try Sample.peer(1)
      #expect(await store.swap(peer, .empty, Sample.pair(1)).isSwapped)
      #expect(await store.pair(peer) == Sample.pair(1))
      #expect(await store.swap(peer, Sample.pair(1), .empty).isSwapped)
      try await store.close()
    }

    private func fails(_ options: EtcdStoreOptions) async throws -> EtcdStoreError? {
      var options = options
      options.timeout = .seconds(2)
      do throws(EtcdStoreError) {
        try await EtcdRatchetStore.open(options, provider: .fastest).close()
      } catch {
        return error
      }
      return nil
    }

    private func problem(_ text: String) { Issue.record("\(text)") }

    @Test func tlsOfBothSides() async throws {
      let certificates = try Certificates()
      let nodes = try EtcdNodes(
        scheme: "https",
        arguments: [
          "--cert-file", certificates.path("node.pem"), "--key-file", certificates.path("node.key"),
          "--client-cert-auth",
          "--trusted-ca-file", certificates.path("ca.pem"),
        ])
      var options = nodes.options()
      var tls = EtcdStoreOptions.TLS()
      (tls.authority, tls.certificate, tls.privateKey) = (
        certificates.path("ca.pem"), certificates.path("client.pem"), certificates.path("client.key")
      )
      options.tls = tls
      // By the name of the host, and by a name that is not that of the host.
      options.nodes[0].host = "localhost"
      try await works(options)
      options.nodes[0].host = "127.0.0.1"
      guard case .unreachable = try await fails(options) else { return problem("an address was taken for a name") }
      options.tls?.serverName = "etcd.fleet"
      try await works(options)

      options.tls?.serverName = "somewhere.else"
      guard case .unreachable = try await fails(options) else { return problem("a wrong name was taken") }
      options.tls?.serverName = "etcd.fleet"
      // A node that nobody vouches for.
      options.tls?.authority = certificates.path("other.pem")
      guard case .unreachable = try await fails(options) else { return problem("a wrong authority was taken") }
      options.tls?.authority = tls.authority
      // We ourselves.
      options.tls?.certificate = nil
      options.tls?.privateKey = nil
      guard case .unreachable = try await fails(options) else { return problem("no certificate was enough") }
      options.tls?.certificate = certificates.path("stranger.pem")
      options.tls?.privateKey = certificates.path("stranger.key")
      guard case .unreachable = try await fails(options) else { return problem("a stranger was let in") }
      options.tls = nil
      guard case .unreachable = try await fails(options) else { return problem("plain text was taken") }
      options.tls = tls
      options.tls?.authority = certificates.path("none.pem")
      #expect(
        try await fails(options)
          == .badFile(path: certificates.path("none.pem"), reason: "there is no such file, or it cannot be read"))
    }

    @Test func usersAndPasswords() async throws {
      let nodes = try EtcdNodes()
      let control = try #require(Etcd.find("etcdctl"), "etcdctl is not installed (Debian: etcd-client)")
      // So that it is up.
      try await works(nodes.options())
      func etcdctl(_ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(filePath: control)
        process.arguments = ["--endpoints", "127.0.0.1:\(nodes.nodes[0].port)"] + arguments
        process.environment = ["ETCDCTL_API": "3", "PATH": "/usr/bin"]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "etcdctl \(arguments)")
      }
      var options = nodes.options(prefix: "/fleet")
      try etcdctl("user", "add", "root:rootpassword")
      try etcdctl("user", "grant-role", "root", "root")
      try etcdctl("user", "add", "zssp:open sesame")
      try etcdctl("role", "add", "zssp")
      try etcdctl("role", "grant-permission", "zssp", "--prefix=true", "readwrite", "/fleet/")
      try etcdctl("user", "grant-role", "zssp", "zssp")
      try etcdctl("auth", "enable")

      options.credentials = EtcdStoreOptions.Credentials(user: "zssp", password: "open sesame")
      try await works(options)
      let store = try await EtcdRatchetStore.open(options, provider: .fastest)
      let peer = try Sample.peer(1)
      #expect(await store.swap(peer, .empty, Sample.pair(1)).isSwapped)
      // Tokens that are good no more are replaced: after a change of the users, and when etcd was
      // started again.
      try etcdctl("--user", "root:rootpassword", "user", "add", "another:password")
      #expect(await store.swap(peer, Sample.pair(1), Sample.pair(2)).isSwapped)
      nodes.nodes[0].kill()
      try nodes.nodes[0].start()
      #expect(await store.pair(peer) == Sample.pair(2))
      #expect(await store.swap(peer, Sample.pair(2), Sample.pair(3)).isSwapped)
      try await store.close()

      let wrong: [(String, (inout EtcdStoreOptions) -> Void)] = [
        ("password", { $0.credentials?.password = "open barley" }), ("user", { $0.credentials?.user = "nobody" }),
        ("prefix", { $0.prefix = "/elsewhere" }), ("nobody", { $0.credentials = nil }),
      ]
      for (name, change) in wrong {
        var options = options
        change(&options)
        guard case .refused(let reason) = try await fails(options) else {
          Issue.record("a wrong \(name) was taken")
          continue
        }
        #expect(!reason.contains("barley"), "\(reason)")
      }
    }
  }
}
