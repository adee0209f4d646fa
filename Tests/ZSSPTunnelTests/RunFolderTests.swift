// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import ZSSPTestSupport
import ZSSPSwiftCrypto

@testable import ZSSPTunnel

/// The folder of a running tunnel: whom it believes, and whose it is.
@Suite(.tags(.fast))
struct RunFolderTests {
  private let root = FileManager.default.temporaryDirectory.appending(path: "zssp-run-\(UUID().uuidString)").path
  private var folder: RunFolder { RunFolder(interface: "t", under: root) }

  /// The next start as root would obey a folder that another user can write to.
  @Test func aFolderOfOthersIsRefused() throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    try withExtendedLifetime(folder.claim()) { folder.clear() }
    try FileManager.default.createSymbolicLink(atPath: folder.path, withDestinationPath: "/tmp")
    #expect(throws: TunnelError.self) { try folder.claim() }
    try FileManager.default.removeItem(atPath: folder.path)
    try FileManager.default.createDirectory(atPath: folder.path, withIntermediateDirectories: false)
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder.path)
    #expect(throws: TunnelError.self) { try folder.claim() }
    try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder.path)
    _ = try folder.claim()
    guard geteuid() == 0 else { return }
    #expect(chown(folder.path, 65_534, 65_534) == 0)
    #expect(throws: TunnelError.self) { try folder.claim() }
  }

  /// The content of the folder is data, and runs nothing.
  @Test func onlyRoutesAreUndone() throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    let claim = try folder.claim()
    defer { withExtendedLifetime(claim) {} }
    let mark = "\(root)/mark"
    try "netns exec x touch \(mark)\n-batch \(mark)\n".write(
      toFile: "\(folder.path)/undo", atomically: true, encoding: .utf8)
    #expect(folder.undoRemembered().count == 2)
    #expect(!FileManager.default.fileExists(atPath: mark))
  }

  /// The folder may have been others' before, and a file in it may still be.
  @Test(arguments: [0o620, 0o602] as [mode_t]) func whatOthersCanWriteIsNotObeyed(mode: mode_t) throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    let claim = try folder.claim()
    defer { withExtendedLifetime(claim) {} }
    let undo = "\(folder.path)/undo"
    try Data("192.0.2.9 via 10.0.0.1 dev none\n".utf8).write(to: URL(filePath: undo))
    #expect(chmod(undo, mode) == 0)
    let failures = folder.undoRemembered()
    #expect(failures.count == 1 && failures[0].contains("others can write to it"), "\(failures)")
    #expect(FileManager.default.fileExists(atPath: undo))
  }

  /// The system's names of sockets are short.
  @Test(arguments: [107, 108, 4096]) func aSocketWithALongPathIsRefusedOrMade(length: Int) throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: false)
    let path = "\(root)/".padding(toLength: length, withPad: "s", startingAt: 0)
    let fits = length < MemoryLayout.size(ofValue: sockaddr_un().sun_path)
    do {
      let server = try ControlServer(path: path, group: nil) { _ in
        .refused("")
      } answered: { _ in
      }
      server.stop()
      #expect(fits)
    } catch {
      #expect(!fits && "\(error)".contains("cannot listen on \(path)"), "\(error)")
    }
  }

  /// Devices of one name may be in several network namespaces, and the folder is there once.
  @Test func aFolderIsClaimedOnce() throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    #expect(!folder.isClaimed)
    do {
      let claim = try folder.claim()
      #expect(folder.isClaimed)
      defer { withExtendedLifetime(claim) {} }
      do {
        _ = try folder.claim()
        Issue.record("claimed twice")
      } catch .inUse(let interface) {
        #expect(interface == "t")
      } catch {
        Issue.record(error)
      }
    }
    let claim = try folder.claim()
    withExtendedLifetime(claim) { folder.clear() }
    #expect(!FileManager.default.fileExists(atPath: folder.path))
  }

  @Test func routesAsLines() throws {
    let host = try #require(IPAddress("192.0.2.9"))
    let route = try #require(
      EndpointRoute(to: host, output: "192.0.2.9 via 10.0.0.1 dev br-lan.7 src 10.0.0.2 uid 0 \n    cache"))
    #expect(route.description == "192.0.2.9 via 10.0.0.1 dev br-lan.7")
    #expect(EndpointRoute(line: route.description[...]) == route)
    #expect(route.arguments("del") == ["-4", "route", "del", "192.0.2.9/32", "via", "10.0.0.1", "dev", "br-lan.7"])
    let other = try #require(EndpointRoute(to: host, output: "192.0.2.9 via inet6 fe80::1 dev e0"))
    #expect(other.arguments("add") == ["-4", "route", "add", "192.0.2.9/32", "via", "inet6", "fe80::1", "dev", "e0"])
    #expect(EndpointRoute(to: host, output: "local 192.0.2.9 dev lo") == nil)
    let wrong: [String] = [
      "", "192.0.2.9", "192.0.2.9 via", "192.0.2.9 via x dev e0", "192.0.2.9 dev -force", "192.0.2.9 dev a/b",
      "192.0.2.9 table 7", "192.0.2.9 dev e0 table 7", "192.0.2.9 dev e0 dev e1", "x dev e0", "192.0.2.0/24 dev e0",
    ]
    for line in wrong { #expect(EndpointRoute(line: line[...]) == nil, "\(line)") }
  }

  /// The way around the tunnel, when its routes are there: the longest prefix, then the smallest
  /// metric, and never the tunnel's device.
  @Test(
    arguments: [
      ("default via 10.0.0.1 dev e0 proto dhcp metric 100\n", "192.0.2.9 via 10.0.0.1 dev e0"),
      ("default via 10.0.0.1 dev e0\n192.0.2.0/25 dev t0 scope link\n", "192.0.2.9 via 10.0.0.1 dev e0"),
      ("default via 10.0.0.1 dev e0\n192.0.2.0/24 dev e1 proto kernel scope link src 192.0.2.1\n", "192.0.2.9 dev e1"),
      (
        "default via 10.0.0.1 dev e0 metric 200\ndefault via 10.0.0.2 dev e1 metric 100\n",
        "192.0.2.9 via 10.0.0.2 dev e1"
      ),
      (
        "default proto static \\\tnexthop via 10.0.0.1 dev e0 weight 1 \\\tnexthop via 10.0.0.2 dev e1 weight 1\n",
        "192.0.2.9 via 10.0.0.1 dev e0"
      ),
      (
        "unreachable default metric 1\ndefault via 10.0.0.3 dev e0 metric 9\ndefault dev e4 dead metric 2\n",
        "192.0.2.9 via 10.0.0.3 dev e0"
      ),
      ("default dev t0 scope link\n", nil), ("", nil),
    ] as [(String, String?)])
  func waysAroundTheTunnel(output: String, expected: String?) throws {
    let host = try #require(IPAddress("192.0.2.9"))
    switch EndpointRoute.find(to: host, in: output, avoiding: "t0") {
    case .way(let route): #expect(route.description == expected)
    case .nowhere: #expect(expected == nil)
    case .isThere: Issue.record("there is no route to the address itself")
    }
  }

  @Test func aRouteToTheAddressItselfIsNotMadeAgain() throws {
    let host = try #require(IPAddress("192.0.2.9"))
    let output = "default via 10.0.0.1 dev e0\n192.0.2.9 via 10.0.0.7 dev e0\n"
    #expect(EndpointRoute.find(to: host, in: output, avoiding: "t0") == .isThere)
    let v6 = try #require(IPAddress("2001:db8::9"))
    let lines =
      "2001:db8::/64 dev e0 proto kernel metric 256 pref medium\ndefault via fe80::1 dev e0 proto ra metric 1024 expires 9sec\n"
    let way = EndpointRoute.find(to: v6, in: lines, avoiding: "t0")
    #expect(try way == .way(#require(EndpointRoute(line: "2001:db8::9 dev e0"))))
  }

  /// An address that this side named is believed; one that a peer moved to by itself may be
  /// anybody's.
  @Test func whoGetsARoute() throws {
    let keys = (0..<2).map { _ in StaticKey().publicKey }
    let peers = PeerTable(
      try zip(keys, ["10.1.0.0/16", "10.2.0.0/16"]).map { key, prefix in
        var peer = PeerConfiguration(publicKey: key)
        peer.allowedIPs = [try #require(IPPrefix(prefix))]
        return peer
      })
    func need(_ address: String, _ isNamed: Bool) throws -> EndpointRoutes.Need {
      EndpointRoutes.need(
        of: .init(address: try #require(IPAddress(address)), isNamed: isNamed), peers: peers, routing: .main)
    }
    for isNamed in [false, true] { #expect(try need("192.0.2.1", isNamed) == .nothing) }
    for (owner, address) in ["10.1.0.1", "10.2.0.1"].enumerated() {
      #expect(try need(address, true) == .route)
      #expect(try need(address, false) == .refused(owner: owner))
    }
  }

  /// `ip` names a line by its number.
  @Test func aRouteThatIsThereIsNamed() {
    let errors = "RTNETLINK answers: File exists\nCommand failed -:2\n"
    #expect(
      SystemCommand.batchFailure(errors, in: ["link set up", "route add 10.0.0.0/8 dev t"])
        == "ip route add 10.0.0.0/8 dev t: RTNETLINK answers: File exists")
  }
}
