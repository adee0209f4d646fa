// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport

extension NamespaceTests {
  /// The routes around the tunnel follow peers whose own addresses lie in what goes through it.
  @Suite(.long) struct RouteTests {
    /// Two hosts. All addresses of the link but a's own are behind b for a, so that a reaches b by
    /// a route around the tunnel only.
    private static func pair(_ lab: Lab, at endpoint: String, extra: String = "") async throws -> Program {
      try lab.add("a", "b")
      try lab.link("a", "b")
      // At first the route to the new address leads into the tunnel, so a strict reverse-path
      // filter (1) would drop datagrams from there.
      for device in ["all", "v1"] { try lab.run("sysctl -qw net.ipv4.conf.\(device).rp_filter=0", on: "a") }
      if endpoint.contains("b.test") { try lab.name("b.test", "192.168.1.2", on: "a") }
      let prefixes = "[\"10.99.0.2/32\", \"192.168.1.0/25\", \"192.168.1.128/25\"]"
      let tunnel = try await lab.tunnel(
        "a", number: 1, extra: extra, peers: [Lab.Peer("b", allowed: prefixes, at: endpoint)])
      try #expect(lab.run("ip route", on: "a").contains("192.168.1.2 dev v1"))
      return tunnel
    }

    /// Another address for b. Only a opens sessions, so that none is being opened meanwhile: the
    /// answer to a handshake has no way around.
    private static func move(_ lab: Lab, to address: String) throws {
      try lab.run("sysctl -qw net.ipv4.conf.v1.promote_secondaries=1", on: "b")
      try lab.run("ip address add \(address)/24 dev v1", on: "b")
      try lab.run("ip address del 192.168.1.2/24 dev v1", on: "b")
    }

    /// Returns true if nothing of the tunnel is left.
    private static func isClean(_ lab: Lab) throws -> Bool {
      try lab.run("ip route", on: "a").split(separator: "\n").allSatisfy { $0.hasPrefix("192.168.1.0/24 dev v1 ") }
    }

    /// Tells a the address of b, as an operator does.
    private static func set(_ lab: Lab, to address: String) throws {
      try lab.run(
        "\(try Lab.zssp()) tunnel set \(lab.device("a")) --peer \(try lab.key("b")) --endpoint \(address):4500",
        on: "a")
    }

    /// A peer that moves to an address within its own allowed-ips gets no route automatically: an
    /// attacker on the path could use it to divert packets for any address out of the tunnel. It
    /// gets one when an operator sets its endpoint, and the old route is removed.
    @Test func aPeerThatMoves() async throws {
      let lab = try Lab()
      let tunnel = try await Self.pair(lab, at: "192.168.1.2")
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      let stream = try await lab.stream(from: "a", to: "b", address: "10.99.0.2")
      try await lab.waits { try lab.received("b") > 1 << 20 }
      try Self.move(lab, to: "192.168.1.200")
      try await tunnel.waits(for: "192.168.1.200 is not reached")
      #expect(try !lab.run("ip route", on: "a").contains("192.168.1.200"))
      try Self.set(lab, to: "192.168.1.200")
      try await lab.waits { try lab.run("ip route", on: "a").contains("192.168.1.200 dev v1") }
      try await lab.waits { try !lab.run("ip route", on: "a").contains("192.168.1.2 ") }
      let undo = "/run/zssp/\(lab.device("a"))/undo"
      try await lab.waits { try String(contentsOfFile: undo, encoding: .utf8) == "192.168.1.200 dev v1\n" }
      let before = try lab.received("b")
      try await lab.waits { try lab.received("b") > before + 1 << 20 }
      try stream.finish()
      tunnel.send(SIGTERM)
      #expect(tunnel.finish().exitCode == 0)
      #expect(try Self.isClean(lab))
    }

    /// A killed tunnel leaves the route of the latest address, and the next start removes it.
    @Test func aKilledTunnelLeavesTheLatest() async throws {
      let lab = try Lab()
      let first = try await Self.pair(lab, at: "192.168.1.2")
      _ = try await lab.tunnel(
        "b", number: 2, peers: [Lab.Peer("a", number: 1, extra: "keepalive = 1")])
      try await lab.reaches("a", "10.99.0.2")
      try Self.move(lab, to: "192.168.1.200")
      try Self.set(lab, to: "192.168.1.200")
      try await lab.waits { try lab.run("ip route", on: "a").contains("192.168.1.200 dev v1") }
      first.send(SIGKILL)
      _ = first.finish()
      #expect(try lab.run("ip route", on: "a").contains("192.168.1.200 dev v1"))
      let second = try await lab.again("a")
      second.send(SIGTERM)
      #expect(second.finish().exitCode == 0)
      #expect(try Self.isClean(lab))
    }

    /// A route around the tunnel that another program removes is put back, and still undone at the
    /// end.
    @Test func aRouteThatAnotherProgramRemoves() async throws {
      let lab = try Lab()
      let tunnel = try await Self.pair(lab, at: "192.168.1.2")
      try lab.run("ip route del 192.168.1.2", on: "a")
      try await lab.waits { try lab.run("ip route", on: "a").contains("192.168.1.2 dev v1") }
      tunnel.send(SIGTERM)
      #expect(tunnel.finish().exitCode == 0)
      #expect(try Self.isClean(lab))
    }

    /// A name that stands for another address later: it is looked up again when the peer does not
    /// answer, and gets its route before anything is sent there.
    @Test func aNameThatChanges() async throws {
      let lab = try Lab()
      let tunnel = try await Self.pair(lab, at: "b.test")
      let second = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      second.send(SIGKILL)
      _ = second.finish()
      try Self.move(lab, to: "192.168.1.200")
      try lab.name("b.test", "192.168.1.200", on: "a")
      _ = try await lab.again("b")
      try await lab.reaches("a", "10.99.0.2")
      #expect(try lab.run("ip route", on: "a").contains("192.168.1.200 dev v1"))
      try await lab.waits { try !lab.run("ip route", on: "a").contains("192.168.1.2 ") }
      tunnel.send(SIGTERM)
      #expect(tunnel.finish().exitCode == 0)
      #expect(try Self.isClean(lab))
    }

    /// A peer that is looked for elsewhere, and is still where it was heard of, is reached there
    /// all the time.
    @Test func whoIsLookedForElsewhere() async throws {
      let lab = try Lab()
      let tunnel = try await Self.pair(lab, at: "192.168.1.2")
      _ = try await lab.tunnel(
        "b", number: 2, peers: [Lab.Peer("a", number: 1, extra: "keepalive = 1")])
      try await lab.reaches("a", "10.99.0.2")
      try Self.move(lab, to: "192.168.1.200")
      try Self.set(lab, to: "192.168.1.200")
      try await lab.waits { try !lab.run("ip route", on: "a").contains("192.168.1.2 ") }
      try Self.set(lab, to: "192.168.1.2")
      // Nothing comes any more, so that a looks for b at the old address.
      try lab.run("iptables -A INPUT -i v1 -p udp -j DROP", on: "a")
      _ = try lab.start("ping -i 0.2 10.99.0.2", on: "a")
      try await tunnel.waits(for: "no session with b yet")
      try lab.run("iptables -F INPUT", on: "a")
      try await lab.reaches("a", "10.99.0.2")
      #expect(try lab.run("ip route", on: "a").contains("192.168.1.200 dev v1"))
      tunnel.send(SIGTERM)
      #expect(tunnel.finish().exitCode == 0)
      #expect(try Self.isClean(lab))
    }

    /// The tunnel uses an address of the name that the socket can send to. If none is, an error
    /// says so.
    @Test func aNameOfBothKinds() async throws {
      let lab = try Lab()
      try lab.add("a", "b")
      try lab.link("a", "b")
      try lab.name("b.test", "2001:db8::1", "192.168.1.2", on: "a")
      let peer = Lab.Peer("b", number: 2, at: "b.test")
      let first = try await lab.tunnel("a", number: 1, peers: [peer])
      _ = try await lab.tunnel("b", number: 2, peers: [Lab.Peer("a", number: 1)])
      try await lab.reaches("a", "10.99.0.2")
      first.send(SIGTERM)
      #expect(first.finish().exitCode == 0)
      try lab.name("b.test", "2001:db8::1", on: "a")
      let second = try await lab.again("a")
      #expect(second.output.contains("the name \"b.test\" has no IPv4 address"), "\(second.output)")
      // An operator who names an address of the other kind is told, too.
      let set =
        "\(try Lab.zssp()) tunnel set \(lab.device("a")) --peer \(try lab.key("b")) --endpoint [2001:db8::1]:4500"
      let refused = try lab.attempt(set, on: "a")
      #expect(refused.exitCode == 2)
      #expect(refused.output.contains("cannot be reached from a socket that is bound to"), "\(refused.output)")
    }

    /// A tunnel without privileges cannot follow its peer's routes, and says so.
    @Test func withoutPrivilegesItIsSaid() async throws {
      let lab = try Lab()
      let tunnel = try await Self.pair(lab, at: "192.168.1.2", extra: "user = \"nobody\"")
      _ = try await lab.tunnel(
        "b", number: 2, peers: [Lab.Peer("a", number: 1, extra: "keepalive = 1")])
      try await lab.reaches("a", "10.99.0.2")
      try Self.move(lab, to: "192.168.1.200")
      try Self.set(lab, to: "192.168.1.200")
      try await tunnel.waits(
        for: "192.168.1.200 is not reached: there is no route to it around the tunnel: cannot write ")
      #expect(try lab.run("ip route", on: "a").contains("192.168.1.2 dev v1"))
    }

    /// Addresses of another peer's are not given away to one that moves there by itself.
    @Test func whatIsAnothersStays() async throws {
      let lab = try Lab()
      try lab.add("a", "b", "c")
      try lab.link("a", "b")
      for device in ["all", "v1"] { try lab.run("sysctl -qw net.ipv4.conf.\(device).rp_filter=0", on: "a") }
      let tunnel = try await lab.tunnel(
        "a", number: 1,
        peers: [
          Lab.Peer("b", number: 2, at: "192.168.1.2"), Lab.Peer("c", allowed: "[\"192.168.1.128/25\"]"),
        ])
      _ = try await lab.tunnel(
        "b", number: 2, peers: [Lab.Peer("a", number: 1, extra: "keepalive = 1")])
      try await lab.reaches("a", "10.99.0.2")
      try Self.move(lab, to: "192.168.1.200")
      try await tunnel.waits(for: "b moved there by itself, and it is among the allowed-ips of c")
      #expect(try !lab.run("ip route", on: "a").contains("192.168.1.200"))
      // An operator may say so.
      try Self.set(lab, to: "192.168.1.200")
      try await lab.waits { try lab.run("ip route", on: "a").contains("192.168.1.200 dev v1") }
      try await lab.reaches("a", "10.99.0.2")
    }
  }
}
