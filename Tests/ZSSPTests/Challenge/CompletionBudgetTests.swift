// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport

@testable import ZSSP

/// A Hello pays for one X3. Whoever collects X2s within the budget and then sends all the bodies
/// that B2 reads must not pass it (section 14).
@Suite("The Hello budget and X3", .tags(.fast))
struct CompletionBudgetTests {
  /// Bob, strangers that say Hello, each in a network of its own, and what his work took.
  private final class World {
    let bob: TestPeer
    let provider = FastCrypto(seed: 0xF6)
    var now = Instant.milliseconds(1_000)
    private(set) var spent = Duration.zero
    private(set) var bodies = 0
    private var strangers = 0
    /// X3s that strangers hold back.
    private(set) var held: [Datagram] = []

    /// - Parameter cost: how long each item of work takes; nil if the driver does not tell.
    init(_ budget: HelloBudget, cost: Duration?, settings: Settings = Settings()) throws {
      bob = try TestPeer(
        EndpointConfiguration(
          staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .automatic(budget),
          settings: settings),
        at: Address(ipv4: 0x0A00_0002, port: 2222))
      bob.timeOfWork = { [unowned self] kind in
        if kind == .completionReceived { bodies += 1 }
        spent += cost ?? .zero
        return cost
      }
    }

    private func deliver(_ datagrams: [Datagram]) -> [Datagram] {
      for datagram in datagrams { bob.receive(datagram.bytes, from: datagram.from, at: now) }
      return bob.pump(at: now)
    }

    /// A stranger says Hello. If X2 comes, it has X3 ready.
    func sayHello() throws -> TestPeer {
      strangers += 1
      let peer = try TestPeer(
        EndpointConfiguration(staticKey: provider.generateAgreementKey(), provider: provider),
        at: Address(ipv4: 0x0B00_0000 + UInt32(strangers) << 8, port: 1))
      _ = try peer.open(to: bob, at: now)
      for datagram in deliver(peer.pump(at: now)) { peer.receive(datagram.bytes, from: datagram.from, at: now) }
      return peer
    }

    /// A stranger says Hello, and holds back its X3.
    func hoard() throws {
      let peer = try sayHello()
      held += peer.pump(at: now).filter { $0.bytes[0..<4] != [0, 0, 0, 0] }
    }

    /// Each X3 that is held is sent, with another last byte. All bodies of a handshake come in a
    /// row.
    func release(copies: Int) {
      for datagram in held {
        for _ in 0..<copies { _ = deliver([datagram.flipped(datagram.bytes.count - 1)]) }
      }
      held = []
    }

    func complete(_ peer: TestPeer) {
      for datagram in deliver(peer.pump(at: now)) { peer.receive(datagram.bytes, from: datagram.from, at: now) }
      _ = peer.pump(at: now)
    }

    func wait(_ duration: Duration) {
      now = now.advanced(by: duration)
      bob.advance(to: now)
      _ = bob.pump(at: now)
    }
  }

  /// 100 ms in each second at once, and nothing after a challenge.
  private var budget: HelloBudget {
    var budget = HelloBudget()
    budget.challenged = .zero
    return budget
  }

  /// The number of Hellos that are read, each of which pays for an X3, and the number of bodies
  /// beyond: 25 ms of them.
  // [DEC-79]
  @Test(
    "of the bodies of collected handshakes the first of each is read, and as many more as a quarter of the time pays for",
    arguments: [
      // Beyond that all that is left of 25 ms must be the assumed time of a Hello, 2 ms.
      (nil, 50, 47), (.microseconds(500), 66, 47), (.milliseconds(1), 33, 24), (.milliseconds(5), 7, 5),
    ] as [(Duration?, Int, Int)])
  func collected(cost: Duration?, hellos: Int, more: Int) throws {
    let world = try World(budget, cost: cost)
    for _ in 0..<100 { try world.hoard() }
    #expect(world.held.count == hellos && world.bob.halfOpenCount == hellos)
    world.release(copies: Settings().bodiesPerHandshake)
    #expect(world.bodies == hellos + more)
    #expect(world.bob.statistics[.overBudget] > 0)
  }

  @Test(
    "over a long time work for strangers that send all bodies stays within the budget", arguments: [5, 10] as [Int64])
  func longFlood(milliseconds: Int64) throws {
    let world = try World(budget, cost: .milliseconds(milliseconds))
    for round in 1...4 {
      for _ in 0..<90 {
        try world.hoard()
        world.wait(.milliseconds(100))
      }
      world.release(copies: Settings().bodiesPerHandshake)
      world.wait(.seconds(1))
      // A second's worth at the beginning, and the last item, may be beyond it.
      #expect(world.spent <= .milliseconds(100) * (10 * round + 1) + .milliseconds(25 + 3 * milliseconds))
    }
    #expect(world.spent > .milliseconds(100) * 30, "and it is used")
  }

  // [DEC-78]
  @Test("the first X3 of a peer that was admitted is read, however many bodies of others came before")
  func honestPeer() throws {
    let world = try World(budget, cost: .milliseconds(1))
    for _ in 0..<20 { try world.hoard() }
    let honest = try world.sayHello()
    for _ in 0..<20 { try world.hoard() }
    world.release(copies: Settings().bodiesPerHandshake)
    #expect(world.bob.statistics[.overBudget] > 0 && world.bob.sessionCount == 0)
    world.complete(honest)
    #expect(world.bob.sessionCount == 1 && honest.establishedSession != nil)
  }

  @Test("a body for which there was no time is read when there is")
  func laterBody() throws {
    let world = try World(budget, cost: .milliseconds(1))
    let honest = try world.sayHello()
    let genuine = honest.pump(at: world.now)
    for _ in 0..<40 { try world.hoard() }
    world.release(copies: Settings().bodiesPerHandshake)
    // An attacker that sees X3 is there first, with a body that is none.
    let forged = genuine.map { $0.flipped($0.bytes.count - 1) }
    for datagram in forged { world.bob.receive(datagram.bytes, from: datagram.from, at: world.now) }
    _ = world.bob.pump(at: world.now)
    let receptions = genuine.map { world.bob.receive($0.bytes, from: $0.from, at: world.now) }
    #expect(receptions == [.dropped(.overBudget)] && world.bob.halfOpenCount > 0)
    world.wait(.seconds(1))
    for datagram in genuine { world.bob.receive(datagram.bytes, from: datagram.from, at: world.now) }
    _ = world.bob.pump(at: world.now)
    #expect(world.bob.sessionCount == 1)
  }

  @Test("what was set aside for an X3 that does not come is given back")
  func noCompletion() throws {
    var settings = Settings()
    settings.handshakeTimeout = .milliseconds(100)
    let world = try World(budget, cost: .milliseconds(10), settings: settings)
    // 30 ms each, of which 10 ms come back.
    for _ in 0..<4 { try world.hoard() }
    #expect(world.held.count == 4 && world.bob.halfOpenCount == 4)
    try world.hoard()
    #expect(world.bob.statistics[.challenged] == 1, "120 ms are more than 98")
    world.wait(.milliseconds(100))
    #expect(world.bob.halfOpenCount == 0)
    // 120 ms less 40 that came back and 10 of the time that went by.
    try world.hoard()
    #expect(world.bob.statistics[.challenged] == 1 && world.bob.halfOpenCount == 1)
  }

  @Test("an X3 that the driver refuses to read keeps what was paid for it")
  func refused() throws {
    let world = try World(budget, cost: .milliseconds(1))
    let honest = try world.sayHello()
    let genuine = honest.pump(at: world.now)
    for _ in 0..<40 { try world.hoard() }
    world.release(copies: Settings().bodiesPerHandshake)
    for isTooBusy in [true, true, false] {
      world.bob.isTooBusy = { isTooBusy && $0 == .completionReceived }
      for datagram in genuine { world.bob.receive(datagram.bytes, from: datagram.from, at: world.now) }
      _ = world.bob.pump(at: world.now)
    }
    #expect(world.bob.sessionCount == 1)
  }
}
