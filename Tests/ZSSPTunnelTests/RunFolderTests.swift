// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ZSSPTunnel

/// The folder of a running tunnel: whom it believes, and whose it is.
struct RunFolderTests {
  private let root = FileManager.default.temporaryDirectory.appending(path: "zssp-run-\(UUID().uuidString)").path
  private var folder: RunFolder { RunFolder(interface: "t", under: root) }

  /// What another user can write to, the next start as root would obey.
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

  /// What lies in the folder is data, and runs nothing.
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

  /// Devices of one name may be in several network namespaces, and the folder is there once.
  @Test func aFolderIsClaimedOnce() throws {
    defer { try? FileManager.default.removeItem(atPath: root) }
    do {
      let claim = try folder.claim()
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
      RouteAround(to: host, output: "192.0.2.9 via 10.0.0.1 dev br-lan.7 src 10.0.0.2 uid 0 \n    cache"))
    #expect(route.description == "192.0.2.9 via 10.0.0.1 dev br-lan.7")
    #expect(RouteAround(line: route.description[...]) == route)
    #expect(route.arguments("del") == ["-4", "route", "del", "192.0.2.9/32", "via", "10.0.0.1", "dev", "br-lan.7"])
    let other = try #require(RouteAround(to: host, output: "192.0.2.9 via inet6 fe80::1 dev e0"))
    #expect(other.arguments("add") == ["-4", "route", "add", "192.0.2.9/32", "via", "inet6", "fe80::1", "dev", "e0"])
    #expect(RouteAround(to: host, output: "local 192.0.2.9 dev lo") == nil)
    let wrong: [String] = [
      "", "192.0.2.9", "192.0.2.9 via", "192.0.2.9 via x dev e0", "192.0.2.9 dev -force", "192.0.2.9 dev a/b",
      "192.0.2.9 table 7", "192.0.2.9 dev e0 dev e1", "x dev e0", "192.0.2.0/24 dev e0",
    ]
    for line in wrong { #expect(RouteAround(line: line[...]) == nil, "\(line)") }
  }

  /// `ip` names a line by its number.
  @Test func aRouteThatIsThereIsNamed() {
    let errors = "RTNETLINK answers: File exists\nCommand failed -:2\n"
    #expect(
      SystemCommand.batchFailure(errors, ["link set up", "route add 10.0.0.0/8 dev t"])
        == "ip route add 10.0.0.0/8 dev t: RTNETLINK answers: File exists")
  }
}
