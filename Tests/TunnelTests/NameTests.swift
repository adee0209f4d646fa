// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// Names and addresses of peers, and what is said of peers that are not there.
  @Suite(.long) struct NameTests {
    private static func state(_ lab: Lab, of host: String) throws -> String? {
      (try lab.show(host)["peers"] as? [[String: Any]])?.first?["state"] as? String
    }

    /// The first address of a name is dead, and of another family; the next is tried.
    @Test func theNextAddressIsTried() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.name("my_peer.test", "2001:db8::99", "192.168.1.99", "192.168.1.2", on: "a")
      try lab.write("a", number: 1, peers: [Lab.Peer("b", number: 2, at: "my_peer.test")])
      let file = lab.path("a.toml")
      let text = try String(contentsOfFile: file, encoding: .utf8)
        .replacing("listen = \"0.0.0.0:4500\"", with: "listen = \":4500\"")
      try text.write(toFile: file, atomically: true, encoding: .utf8)
      _ = try await lab.again("a")
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
    }

    /// The tunnel finds the endpoint that works among several, whichever it is.
    @Test func severalEndpoints() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let places = "endpoints = [\"no-such-name.test:4500\", \"192.168.1.77:4500\", \"192.168.1.2:4500\"]"
      _ = try await lab.tunnel("a", number: 1, peers: [Lab.Peer("b", number: 2, extra: places)])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
    }

    /// Servers of names that do not answer do not keep the tunnel from starting, nor other peers
    /// from being reached, be it by name.
    @Test func deadNamesDelayNothing() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let folder = "/etc/netns/\(lab.namespace("a"))"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      // Packets to the name server vanish, and each question takes a quarter of an hour.
      try "nameserver 192.168.1.99\noptions timeout:30 attempts:30\n"
        .write(toFile: "\(folder)/resolv.conf", atomically: true, encoding: .utf8)
      try lab.run("ip neigh add 192.168.1.99 lladdr 02:00:00:00:00:99 dev v1", on: "a")
      try lab.name("b.test", "192.168.1.2", on: "a")
      var peers = (3...10).map { number in
        Lab.Peer("x\(number)", number: number, at: "dead\(number).example.org", extra: "keepalive = 5")
      }
      peers.append(Lab.Peer("b", number: 2, at: "b.test"))
      let tunnel = try await lab.tunnel("a", number: 1, peers: peers)
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      tunnel.send(SIGTERM)
      #expect(tunnel.finish().exitCode == 0)
    }

    /// A peer that is gone is not `up`, whether or not anybody sends to it; and it is once it is
    /// back.
    @Test func aPeerThatIsGoneIsNotUp() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let first = try await lab.tunnel("a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2")])
      let second = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      #expect(try Self.state(lab, of: "a") == "up")
      second.send(SIGKILL)
      _ = second.finish()
      try await lab.waits { try Self.state(lab, of: "a") == "silent" }
      _ = try lab.attempt("ping -c 1 -W 1 10.99.0.2", on: "a")
      try await first.waits(for: "no session with b yet: no answer from 192.168.1.2:4500")
      try await lab.waits { try Self.state(lab, of: "a") == "unreachable" }
      let text = try lab.run("\(Lab.zssp()) tunnel show \(lab.device("a"))")
      #expect(text.contains("peer b: unreachable (no answer from 192.168.1.2:4500"), "\(text)")
      _ = try await lab.again("b")
      try await lab.reaches("a", "10.99.0.2")
      #expect(try Self.state(lab, of: "a") == "up")
    }

    /// A peer that does not know this side's key, and one that has another key than the file says.
    @Test func wrongKeysAreNamed() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      let first = try await lab.tunnel(
        "a", number: 1, peers: [Lab.Peer("b", number: 2, at: "192.168.1.2", extra: "keepalive = 1")])
      let second = try await lab.tunnel("b", number: 2, peers: [])
      try await first.waits(for: "no session with b yet: 192.168.1.2:4500 refused this side's key")
      #expect(second.output.contains("not a peer"))
      // Said once, although it is tried again.
      try await lab.waits { try Self.state(lab, of: "a") == "unreachable" }
      let said = first.output.components(separatedBy: "refused this side's key").count - 1
      #expect(said == 1, "\(first.output)")
    }
  }
}
