// SPDX-License-Identifier: Apache-2.0

import Testing
import ZSSPTestSupport
import ZSSP
import ZSSPReference

/// Rare cases, which random schedules hardly ever reach. Both implementations must do the same, and
/// the right thing.
@Suite("Both implementations in rare cases", .tags(.fast))
struct DirectedTests {
  private func established(_ receiver: PartyConfiguration.Implementation) throws -> Link {
    var link = try Link([.zssp, receiver], profile: .kyber1024, policy: .allow)
    link.parties[0].open(to: link.keys[1].publicKey, at: link.address(1), identity: [], now: link.now)
    link.settle()
    let isWorking = link.carries(1)
    try #require(isWorking)
    _ = link.parties[1].takeEvents()
    return link
  }

  private func datagrams(_ link: Link, with message: [UInt8]) -> [[UInt8]] {
    link.parties[0].send(message, on: 1, at: link.now)
    return link.parties[0].takeDatagrams().map(\.bytes)
  }

  @Test("an older message from another address moves nothing", arguments: PartyConfiguration.Implementation.allCases)
  func olderMessage(_ receiver: PartyConfiguration.Implementation) throws {
    let link = try established(receiver)
    let sent = [[1], [2], [3]].map { datagrams(link, with: $0) }.flatMap(\.self)
    let bob = link.parties[1]
    let elsewhere = Address(ipv4: 99, port: 99)
    #expect(bob.receive(sent[1], from: link.address(0), at: link.now) == [2])
    #expect(bob.receive(sent[0], from: elsewhere, at: link.now) == [1])
    #expect(bob.takeEvents() == [])
    #expect(bob.receive(sent[2], from: elsewhere, at: link.now) == [3])
    #expect(bob.takeEvents() == ["1 moved"])
  }

  /// Header protection covers the first bytes of a fragment, so an attacker can cut or stretch the
  /// rest. Whoever is first determines what fits, until the packet expires.
  @Test(
    "a fragment of another size keeps the packet incomplete until it expires",
    arguments: PartyConfiguration.Implementation.allCases, [-9, 9])
  func fragmentOfAnotherSize(_ receiver: PartyConfiguration.Implementation, difference: Int) throws {
    let link = try established(receiver)
    let message = (0..<1200).map { UInt8(truncatingIfNeeded: $0) }
    let sent = datagrams(link, with: message)
    try #require(sent.count == 3)
    let bob = link.parties[1]
    func deliver(_ datagrams: [[UInt8]], at now: Instant) -> [UInt8]? {
      datagrams.compactMap { bob.receive($0, from: link.address(0), at: now) }.first
    }
    let changed = difference < 0 ? sent[0].dropLast(-difference) : sent[0] + [UInt8](repeating: 0, count: difference)
    #expect(deliver([Array(changed)], at: link.now) == nil)
    #expect(deliver(sent, at: link.now) == nil)
    #expect(deliver(sent, at: link.now) == nil)
    let later = link.now.advanced(by: .seconds(6))
    bob.tick(at: later)
    #expect(deliver(sent, at: later) == message)
    #expect(deliver(sent, at: later) == nil)
  }
}
