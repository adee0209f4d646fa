// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

@Suite("The table of key ids (section 4)", .tags(.fast))
struct KeyIDTableTests {
  private static func owner() -> HalfOpenHandshake {
    HalfOpenHandshake(address: Address(ipv4: 1, port: 1), settings: Settings(), at: .milliseconds(0))
  }

  /// The source of random ids: all ids, or so few that many share a slot of the table.
  enum Ids: String, Sendable, CaseIterable {
    case spread, few, sameLowBits, neighbours, endOfTable

    func draw(_ random: inout SplitMix64) -> KeyID {
      let number = UInt32(truncatingIfNeeded: random.next() >> 32)
      return switch self {
      case .spread: KeyID(value: number | 1)
      case .few: KeyID(value: 1 + number % 40)
      case .sameLowBits: KeyID(value: (1 + number % 200) << 20 | 5)
      case .neighbours: KeyID(value: (number % 8) << 16 | (1 + (number >> 3) % 60))
      // The last places of tables of many sizes, so that probing goes on at the start.
      case .endOfTable: KeyID(value: (1 + number % 100) << 16 | 0xFFFF - (number >> 8) % 3)
      }
    }
  }

  @Test("agrees with a dictionary", arguments: Ids.allCases, [1, 2] as [UInt64])
  func model(_ ids: Ids, _ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var table = KeyIDTable(KeyIDPattern(Settings()))
    var model = [KeyID: HalfOpenHandshake]()
    let owners = (0..<8).map { _ in Self.owner() }
    for step in 0..<20_000 {
      let keyID = ids.draw(&random)
      // Grows first, then shrinks, then stays.
      let isAddition = random.next() % 100 < (step < 5000 ? 80 : step < 10_000 ? 30 : 50)
      if isAddition {
        let owner = owners[Int(random.next() % 8)]
        table.set(keyID, to: .halfOpen(owner))
        model[keyID] = owner
      } else {
        let removed =
          model.isEmpty || random.next() % 2 == 0 ? keyID : model.randomElement(using: &random)?.key ?? keyID
        table.remove(removed)
        model[removed] = nil
      }
      guard table.count == model.count, table.handshake(keyID) === model[keyID] else {
        Issue.record("step \(step), id \(keyID.value)")
        return
      }
      if step % 500 == 0, !model.allSatisfy({ table.handshake($0.key) === $0.value }) {
        Issue.record("an id has got lost by step \(step)")
        return
      }
    }
    for keyID in model.keys { table.remove(keyID) }
    #expect(table.count == 0)
    #expect(model.keys.allSatisfy { !table.contains($0) })
  }

  @Test(
    "ids that share the bits of a shard and a node are found as fast as others",
    arguments: [(0, 0), (8, 0), (0, 16), (8, 8), (4, 12)])
  func probes(_ shardBits: Int, _ nodeBits: Int) {
    var settings = Settings()
    settings.shard = Shard((1 << shardBits) - 1, of: 1 << shardBits)
    settings.nodeBits = nodeBits
    settings.node = (1 << nodeBits) - 1
    let pattern = KeyIDPattern(settings)
    var table = KeyIDTable(pattern)
    var random = SplitMix64(seed: 7)
    let owner = Self.owner()
    // As many as an endpoint with 16 fixed bits hands out at most, and the table half full.
    while table.count < 1 << 15 {
      table.set(pattern.keyID(UInt32(truncatingIfNeeded: random.next() >> 32)), to: .halfOpen(owner))
    }
    // With half of the places taken at random it is 1.5 on average.
    #expect(Double(table.probes) / Double(table.count) < 1.6)
  }

  @Test("an id given to another owner is still one id")
  func replacement() {
    var table = KeyIDTable(KeyIDPattern(Settings()))
    let first = Self.owner()
    let second = Self.owner()
    let keyID = KeyID(value: 77)
    table.set(keyID, to: .halfOpen(first))
    table.set(keyID, to: .halfOpen(second))
    #expect(table.count == 1)
    #expect(table.handshake(keyID) === second)
    table.remove(keyID)
    #expect(!table.contains(keyID))
    table.remove(keyID)
    #expect(table.count == 0)
  }

  /// The gap that a removed id leaves must not hide those behind it.
  @Test("any of a cluster can be removed", arguments: 0..<7)
  func cluster(_ removed: Int) {
    // All of these have their home in place 14 of 16, so they wrap around the end.
    let keyIDs = (0..<7).map { KeyID(value: UInt32($0) << 8 | 14) }
    var table = KeyIDTable(KeyIDPattern(Settings()))
    let owner = Self.owner()
    for keyID in keyIDs { table.set(keyID, to: .halfOpen(owner)) }
    table.remove(keyIDs[removed])
    for (index, keyID) in keyIDs.enumerated() { #expect(table.contains(keyID) == (index != removed)) }
  }
}

extension KeyIDTable {
  fileprivate func handshake(_ keyID: KeyID) -> HalfOpenHandshake? {
    if case .halfOpen(let handshake)? = self[keyID] { handshake } else { nil }
  }
}
