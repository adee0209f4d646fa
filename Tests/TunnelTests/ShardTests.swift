// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// Sessions on several event loops, of which one has the device.
  @Suite(.long) struct ShardTests {
    /// Two peers of one host, each with its own session, and flows between all of them at once.
    @Test func twoPeersAndManyFlows() async throws {
      let lab = try Lab()
      try lab.add("hub", "x", "y")
      for (index, host) in ["x", "y"].enumerated() {
        try lab.link("hub", host)
        let hub = Lab.Peer("hub", allowed: "[\"10.99.0.0/24\", \"fd99::/64\"]", at: "192.168.\(index + 1).1")
        _ = try await lab.tunnel(host, number: index + 2, extra: "shards = 2", peers: [hub])
      }
      try lab.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", on: "hub")
      let peers = [Lab.Peer("x", number: 2), Lab.Peer("y", number: 3)]
      _ = try await lab.tunnel("hub", number: 1, extra: "shards = 2", peers: peers)
      for (host, address) in [("x", "10.99.0.1"), ("y", "fd99::1"), ("x", "10.99.0.3"), ("y", "fd99::2")] {
        try await lab.reaches(host, address)
      }
      let ways = [
        ("x", "hub", "10.99.0.1"), ("hub", "x", "10.99.0.2"), ("y", "hub", "10.99.0.1"), ("hub", "y", "fd99::3"),
        ("x", "y", "10.99.0.3"), ("y", "x", "fd99::2"),
      ]
      var transfers: [Lab.Transfer] = []
      for (index, way) in ways.enumerated() {
        transfers.append(
          try await lab.transfer(from: way.0, to: way.1, address: way.2, bytes: 3 << 20, port: 9000 + index))
      }
      for host in ["x", "y"] {
        let output = try lab.run("ping -q -f -c 500 -w 30 10.99.0.1", on: host)
        #expect(output.contains("500 packets transmitted"), "\(output)")
      }
      for transfer in transfers { try transfer.finish() }
      // What had no room was lost and sent again; nothing came to the wrong place.
      for host in ["hub", "x", "y"] {
        // Redirects of IPv6, which the hub's kernel sends from a link-local address, are of a
        // foreign source.
        for reason in ["malformed", "tooBig", "deviceFull"] {
          #expect(try lab.drops(host, reason: reason) == 0, "\(host): \(reason)")
        }
        #expect(try lab.protocolDrops(host, reason: "notAuthentic") == 0)
      }
      for peer in try #require(try lab.show("hub")["peers"] as? [[String: Any]]) {
        #expect(peer["state"] as? String == "up")
      }
    }

    /// Keys are replaced and the address changes, whatever event loop the session is on.
    @Test func changes() async throws {
      let lab = try await Lab.pair(extra: "shards = 2")
      let stream = try await lab.stream(from: "a", to: "b", address: "10.99.0.2")
      let before = (a: try lab.ratchetLength("a"), b: try lab.ratchetLength("b"))
      try lab.run("\(Lab.zssp()) tunnel rekey \(lab.device("a"))")
      try await lab.waits { try lab.ratchetLength("a") > before.a && lab.ratchetLength("b") > before.b }
      try lab.run("sysctl -qw net.ipv4.conf.v1.promote_secondaries=1", on: "a")
      try lab.run("ip address add 192.168.1.9/24 dev v1", on: "a")
      try lab.run("ip address del 192.168.1.1/24 dev v1", on: "a")
      try await lab.waits {
        (try lab.show("b")["peers"] as? [[String: Any]])?.first?["endpoint"] as? String == "192.168.1.9:4500"
      }
      let bytes = try lab.received("b")
      try await lab.waits { try lab.received("b") > bytes + 1 << 20 }
      try stream.finish()
    }
  }
}
