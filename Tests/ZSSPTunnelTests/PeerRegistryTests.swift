// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPSwiftCrypto

@testable import ZSSPTunnel

/// The numbers of peers, by which packets and sessions find them, and who is told of changes.
@Suite(.tags(.fast))
struct PeerRegistryTests {
  private let keys = (0..<5).map { _ in StaticKey().publicKey }

  private func table(_ count: Int) -> PeerTable {
    PeerTable(keys[..<count].map { PeerConfiguration(publicKey: $0) })
  }

  /// Work that is under way for a removed peer must not reach another peer.
  @Test func aNumberIsNeverUsedAgain() {
    var table = table(2)
    let removals = (table.remove(keys[0]), table.remove(keys[0]))
    #expect(removals == (true, false))
    var ids = [0, 1]
    for key in keys[2...] {
      table.set(PeerConfiguration(publicKey: key))
      if let id = table.id(of: key) { ids.append(id) }
      if key != keys[4] { _ = table.remove(key) }
    }
    #expect(ids == [0, 1, 2, 3, 4])
    #expect(table.configurations.keys.sorted() == [1, 4])
    #expect(table.label(2) == "a former peer")
  }

  @Test func numbersOfSeveralNewPeersDiffer() {
    var table = table(2)
    _ = table.remove(keys[0])
    for key in keys[2...] { table.set(PeerConfiguration(publicKey: key)) }
    #expect(Set(keys[1...].compactMap { table.id(of: $0) }).count == 4)
    for key in keys[1...] { #expect(table.peer(key)?.publicKey == key) }
  }

  @Test func aChangedPeerKeepsItsNumber() {
    var table = table(2)
    var changed = PeerConfiguration(publicKey: keys[1])
    changed.name = "b"
    table.set(changed)
    #expect(table.id(of: keys[1]) == 1 && table.label(1) == "b" && table.configurations.count == 2)
  }

  /// Replacing all peers at once keeps the numbers of those that stay, and gives new ones numbers
  /// of their own.
  @Test func replacingAllKeepsNumbers() {
    var table = table(3)
    table.replace([keys[2], keys[3]].map { PeerConfiguration(publicKey: $0) })
    #expect(table.id(of: keys[2]) == 2 && table.id(of: keys[3]) == 3)
    #expect(table.id(of: keys[0]) == nil && table.configurations.count == 2)
  }

  /// Addresses follow the peers, whatever changes.
  @Test func addressesFollowThePeers() throws {
    let prefix = try #require(IPPrefix("10.0.0.0/8"))
    var table = table(1)
    var peer = PeerConfiguration(publicKey: keys[0])
    peer.allowedIPs = [prefix]
    table.set(peer)
    #expect(table.prefixes.value(for: prefix.address) == 0)
    _ = table.remove(keys[0])
    #expect(table.prefixes.value(for: prefix.address) == nil)
  }

  /// Every reader sees every change, in order, before the change returns.
  @Test func readersSeeEveryChange() {
    let registry = PeerRegistry(TunnelConfiguration())
    let seen = NIOLockedValueBox<[[Int]]>([[], []])
    for reader in 0..<2 {
      registry.publish { table in seen.withLockedValue { $0[reader].append(table.configurations.count) } }
    }
    for key in keys[..<3] { registry.change { $0.set(PeerConfiguration(publicKey: key)) } }
    let removed = registry.change { $0.remove(keys[0]) }
    #expect(removed.result && removed.former.configurations.count == 3)
    #expect(seen.withLockedValue { $0 } == [[0, 1, 2, 3, 2], [0, 1, 2, 3, 2]])
  }

  private func named(_ index: Int, name: String, allowed: [String] = []) throws -> PeerConfiguration {
    var peer = PeerConfiguration(publicKey: keys[index])
    peer.name = name
    peer.allowedIPs = try allowed.map { try #require(IPPrefix($0)) }
    return peer
  }

  private func registered(_ peers: [PeerConfiguration]) -> PeerRegistry {
    var configuration = TunnelConfiguration()
    configuration.peers = peers
    return PeerRegistry(configuration)
  }

  /// This side insists on the one-time password after `enroll`, whatever the file says when it is
  /// read again.
  @Test func aReloadKeepsTheDemandForThePassword() throws {
    let file = [try named(0, name: "a")]
    let registry = registered(file)
    registry.change { $0.enroll(keys[0], flags: .opportunistic) }
    func insists() -> Bool { registry.table.peer(keys[0])?.flags?.contains(.initiatorDisallowsDowngrade) ?? false }
    #expect(insists())
    let same = registry.reload(file)
    #expect(insists() && same.former.configurations == same.current.configurations)
    var changed = file[0]
    changed.name = "b"
    changed.flags = []
    registry.reload([changed])
    #expect(insists() && registry.table.peer(keys[0])?.name == "b")
    // A flag that the file takes away, and gives back, does not matter either.
    registry.reload(file)
    #expect(insists())
    registry.reload([])
    registry.reload(file)
    #expect(!insists())
  }

  /// Values that a request changed stay until the file changes them, too.
  @Test func aReloadKeepsWhatRequestsChanged() throws {
    let file = [try named(0, name: "a", allowed: ["10.0.0.0/24"]), try named(1, name: "b")]
    let registry = registered(file)
    var changed = file[0]
    changed.keepalive = .seconds(7)
    changed.allowedIPs = try named(0, name: "a", allowed: ["10.0.5.0/24"]).allowedIPs
    let added = try named(2, name: "c", allowed: ["10.0.2.0/24"])
    registry.change { [changed] table in
      table.set(changed)
      table.set(added)
      _ = table.remove(keys[1])
    }
    registry.reload(file)
    #expect(registry.table.peer(keys[0]) == changed && registry.table.peer(keys[2]) == added)
    #expect(registry.table.peer(keys[1]) == nil)
    // The file changes other values, and the removed peer.
    registry.reload([try named(0, name: "new", allowed: ["10.0.0.0/24"]), try named(1, name: "back")])
    changed.name = "new"
    #expect(registry.table.peer(keys[0]) == changed && registry.table.peer(keys[1])?.name == "back")
    // The file changes the same value, and later names the peer that was added.
    registry.reload([try named(0, name: "new", allowed: ["10.0.7.0/24"]), try named(2, name: "d")])
    #expect(registry.table.peer(keys[0])?.allowedIPs == (try named(0, name: "", allowed: ["10.0.7.0/24"]).allowedIPs))
    #expect(registry.table.peer(keys[2]) == (try named(2, name: "d")) && registry.table.peer(keys[1]) == nil)
  }

  /// A prefix has one owner, and the file's wins.
  @Test func aReloadGivesNoPrefixTwice() throws {
    let file = [try named(0, name: "a"), try named(1, name: "b")]
    let registry = registered(file)
    registry.change { $0.set(PeerConfiguration(publicKey: keys[0])) }
    let taken = try named(0, name: "a", allowed: ["10.0.0.0/24", "10.0.1.0/24"])
    registry.change { $0.set(taken) }
    registry.reload([file[0], try named(1, name: "b", allowed: ["10.0.0.0/24"])])
    #expect(registry.table.peer(keys[0])?.allowedIPs.map(\.description) == ["10.0.1.0/24"])
    #expect(registry.table.peer(keys[1])?.allowedIPs.map(\.description) == ["10.0.0.0/24"])
  }
}
