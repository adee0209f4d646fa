// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

@Suite("Sessions that are idle give their expanded keys up", .tags(.fast))
struct IdleKeysTests {
  private let watch = KeyWatch()

  private func pair(_ settings: Settings = Settings()) throws -> Pair {
    try Pair(provider: WatchedProvider(base: FastCrypto(seed: 0x1D), watch: watch), settings: settings)
  }

  private func live() -> Int { watch.livePacketKeys + watch.liveHeaderKeys }

  @Test("a handshake leaves none behind, and no timer for them")
  func handshake() throws {
    let pair = try pair()
    let (one, other) = try pair.establish()
    #expect(live() == 0)
    #expect(pair.alice.nextDeadline == pair.alice.stateTimers(one)?.state)
    #expect(pair.bob.nextDeadline == pair.bob.stateTimers(other)?.state)
  }

  @Test("after the timeout they are gone, and made again when they are used")
  func givenUp() throws {
    let pair = try pair()
    let (one, _) = try pair.establish()
    for _ in 0..<3 {
      try pair.alice.send([1], on: one, at: pair.now)
      pair.settle()
      #expect(live() == 4)
      pair.run(for: .seconds(9))
      #expect(live() == 4)
      pair.run(for: .seconds(12))
      #expect(live() == 0)
      // Nothing wakes an endpoint up for keys that are not there.
      #expect(pair.alice.nextDeadline == pair.alice.stateTimers(one)?.state)
    }
    #expect(pair.bob.messages.map(\.bytes) == [[1], [1], [1]])
    // In each direction a header key and a packet key, each time. Those of handshakes are not
    // counted here.
    #expect(watch.made >= 3 * 2)
  }

  @Test("those of a session in use stay, whether it sends or receives")
  func inUse() throws {
    let pair = try pair()
    let (one, _) = try pair.establish()
    try pair.alice.send([1], on: one, at: pair.now)
    pair.settle()
    let packetKeys = watch.made
    let headerKeys = watch.headerKeysMade
    for _ in 0..<20 {
      pair.run(for: .seconds(7))
      try pair.alice.send([2], on: one, at: pair.now)
      pair.settle()
    }
    #expect(watch.made == packetKeys && watch.headerKeysMade == headerKeys && live() == 4)
  }

  @Test("the timeout is a setting")
  func setting() throws {
    var settings = Settings()
    settings.expandedKeyTimeout = .seconds(60)
    let pair = try pair(settings)
    let (one, _) = try pair.establish()
    try pair.alice.send([1], on: one, at: pair.now)
    pair.run(for: .seconds(59))
    #expect(live() == 4)
    pair.run(for: .seconds(62))
    #expect(live() == 0)
  }

  private static func session(_ index: Int) -> Session {
    let peer = FastCrypto(seed: 1).generateAgreementKey().publicKey
    return Session(
      acceptedFrom: peer, at: Address(ipv4: 1, port: 1), id: SessionID(index: UInt32(index), generation: 1), Settings())
  }

  @Test("a sweep looks at a few, and all are looked at in every timeout", arguments: [1, 128, 129, 1000])
  func sweeps(count: Int) throws {
    let sessions = (0..<count).map(Self.session)
    var keys = KeyCache(limit: 4096, timeout: .seconds(10))
    var now = Instant.milliseconds(0)
    for session in sessions { keys.use(session, at: now) }
    // Every third goes on.
    while now < .milliseconds(40_000) {
      now = min(keys.nextSweep, now.advanced(by: .seconds(3)))
      for index in stride(from: 0, to: count, by: 3) { keys.use(sessions[index], at: now) }
      let before = keys.count
      keys.sweep(at: now)
      #expect(before - keys.count <= KeyCache.sweptAtOnce)
      if now < .milliseconds(10_000) { #expect(keys.count == count) }
      if now > .milliseconds(25_000) { #expect(keys.count == (count + 2) / 3) }
    }
    #expect(sessions.indices.filter { sessions[$0].cachePlace.index >= 0 } == Array(stride(from: 0, to: count, by: 3)))
    now = now.advanced(by: .seconds(3600))
    while keys.nextSweep < .distantFuture {
      now = max(now, keys.nextSweep)
      keys.sweep(at: now)
    }
    #expect(keys.count == 0 && sessions.allSatisfy { $0.cachePlace.index == -1 })
  }

  @Test("a sweep that comes late takes no key that was just used, and does no more at once")
  func late() {
    let sessions = (0..<1000).map(Self.session)
    var keys = KeyCache(limit: 4096, timeout: .seconds(10))
    for session in sessions { keys.use(session, at: .milliseconds(0)) }
    let now = Instant.milliseconds(3_600_000)
    keys.use(sessions[0], at: now)
    keys.sweep(at: now)
    #expect(keys.count == 1000 - KeyCache.sweptAtOnce + 1 && sessions[0].cachePlace.index >= 0)
    #expect(keys.nextSweep > now)
  }
}
