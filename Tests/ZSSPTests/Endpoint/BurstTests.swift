// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSPTestSupport
import ZSSPRandom

@testable import ZSSP

/// Datagrams in a burst fare as they do one by one, and so do messages in a run.
@Suite("Bursts of datagrams and runs of messages", .tags(.fast))
struct BurstTests {
  private let provider = FastCrypto(seed: 0xB5)

  /// Two endpoints with a session, which `Pair` cannot give: its endpoints are private.
  private final class Link {
    var alice: Endpoint
    var bob: Endpoint
    let session: SessionID
    private(set) var bobSession: SessionID
    let now = Instant.milliseconds(1_000)
    static let from = Address(ipv4: 0x0A00_0001, port: 1)
    static let to = Address(ipv4: 0x0A00_0002, port: 2)

    init(_ provider: any CryptoProvider, settings: Settings = Settings()) throws {
      func endpoint() throws -> Endpoint {
        try Endpoint(
          EndpointConfiguration(
            staticKey: provider.generateAgreementKey(), provider: provider, helloPolicy: .allow, settings: settings))
      }
      alice = try endpoint()
      bob = try endpoint()
      session = try alice.open(to: bob.publicKey, at: Self.to, now: now)
      bobSession = session
      for _ in 0..<4 {
        Self.pump(&alice, at: now)
        for bytes in alice.takeDatagrams() { _ = bob.message(of: bytes, from: Self.from, at: now) }
        Self.pump(&bob, at: now)
        for bytes in bob.takeDatagrams() { _ = alice.message(of: bytes, from: Self.to, at: now) }
      }
      try #require(alice.session(session)?.state == "S2")
      while let event = bob.nextEvent() { if case .established(let id, _) = event { bobSession = id } }
    }

    /// Returns the messages that Bob reads from Alice's datagrams, one by one.
    func received() -> [[UInt8]] {
      alice.takeDatagrams().compactMap { bob.message(of: $0, from: Self.from, at: now) }
    }

    private static func pump(_ endpoint: inout Endpoint, at now: Instant) {
      while let request = endpoint.nextRequest() {
        switch request {
        case .store(let id, .lookUp): endpoint.answer(id, store: .unknown, at: now)
        case .store(let id, .load), .store(let id, .revoke): endpoint.answer(id, store: .pair(.empty), at: now)
        case .store(let id, .compareAndSwap): endpoint.answer(id, store: .swapped, at: now)
        case .accept(let id, _): endpoint.answer(id, accept: .accept(.opportunistic), at: now)
        case .work(let work): endpoint.complete(work.run(), at: now)
        }
      }
    }
  }

  private static func message(_ number: Int, size: Int) -> [UInt8] {
    (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number) }
  }

  @Test("messages of a run arrive", arguments: [[1, 1, 1], [0, 100, 100, 5, 5, 1400], [3000, 20, 20, 5000, 20]])
  func run(sizes: [Int]) throws {
    let link = try Link(provider)
    let messages = sizes.enumerated().map { Self.message($0.offset, size: $0.element) }
    try link.alice.send(on: link.session, at: link.now) { run throws(SendError) in
      for message in messages { try run.append(message.rawBytes) }
      #expect(run.count == messages.count)
      #expect(run.byteCount == sizes.reduce(0, +))
    }
    #expect(link.alice.statistics.messagesSent == UInt64(messages.count))
    #expect(link.received() == messages)
  }

  @Test("a run of more messages than headers are protected at a time")
  func longRun() throws {
    let link = try Link(provider)
    let messages = (0..<150).map { Self.message($0, size: 64) }
    try link.alice.send(on: link.session, at: link.now) { run throws(SendError) in
      for message in messages { try run.append(message.rawBytes) }
    }
    #expect(link.alice.outbox.runs.count == 1)
    let burst = link.alice.takeDatagrams().flatMap(\.self)
    #expect(link.bob.messages(of: burst, segmentSize: 64 + 32, from: Link.from, at: link.now) == messages)
  }

  @Test("any size of segments will do", arguments: [Int.min, -1, 0, 1, 31, 33, Int.max])
  func sizesOfSegments(size: Int) throws {
    let link = try Link(provider)
    try link.alice.send([1, 2, 3].rawBytes, on: link.session, at: link.now)
    let datagram = link.alice.takeDatagrams().flatMap(\.self)
    let messages = link.bob.messages(of: datagram, segmentSize: size, from: Link.from, at: link.now)
    #expect(messages == (size >= datagram.count ? [[1, 2, 3]] : []))
  }

  // [CTR-1]
  @Test("what was appended before an error is sent, and its counters are not used again")
  func partOfARun() throws {
    let link = try Link(provider)
    let large = [UInt8](repeating: 0, count: Settings().largestMessage + 1)
    #expect(throws: SendError.messageTooLarge(size: large.count, limit: large.count - 1)) {
      try link.alice.send(on: link.session, at: link.now) { run throws(SendError) in
        try run.append([1].rawBytes)
        try run.append(large.rawBytes)
      }
    }
    try link.alice.send([2].rawBytes, on: link.session, at: link.now)
    #expect(link.received() == [[1], [2]])
  }

  // [CTR-10]
  @Test("a key that is used up in the middle of a run ends the session")
  func exhaustedRun() throws {
    var settings = Settings()
    settings.rekeyUses = 9
    settings.keyUseLimit = 10
    let link = try Link(provider, settings: settings)
    var sent = 0
    #expect(throws: SendError.keyExhausted) {
      try link.alice.send(on: link.session, at: link.now) { run throws(SendError) in
        for _ in 0..<20 {
          try run.append([1].rawBytes)
          sent += 1
        }
      }
    }
    // C2 took the first.
    #expect(sent == 9)
    #expect(link.alice.session(link.session) == nil)
    #expect(link.alice.takeDatagrams().count == 9)
  }

  // [CTR-8] [HDR-2] [HDR-5]
  /// Bursts of good, forged, repeated, shortened and strange datagrams are received one by one by
  /// one receiver and as bursts by another that is its equal.
  @Test("a burst is received as its datagrams are", arguments: 1...20 as ClosedRange<UInt64>)
  func burst(seed: UInt64) throws {
    let single = try Link(FastCrypto(seed: seed))
    let burst = try Link(FastCrypto(seed: seed))
    var random = SplitMix64(seed: seed)
    var kept: [[UInt8]] = []
    for round in 0..<20 {
      // Whole packets, or three or four fragments of one size.
      let size = [Int.random(in: 0...200, using: &random), 3 * 1000 - 16, 4 * 1300 - 16][
        round % 4 == 3 ? 1 + round / 4 % 2 : 0]
      var datagrams: [[UInt8]] = []
      for number in 0..<Int.random(in: 1...100, using: &random) {
        let message = Self.message(round &* 31 &+ number, size: size)
        try single.alice.send(message.rawBytes, on: single.session, at: single.now)
        try burst.alice.send(message.rawBytes, on: burst.session, at: burst.now)
        let made = single.alice.takeDatagrams()
        #expect(made == burst.alice.takeDatagrams())
        datagrams += made
      }
      Self.disturb(&datagrams, with: kept, random: &random)
      kept = Array(datagrams.filter { $0.count == size + 32 }.prefix(10))
      let source = Address(ipv4: 0x0A00_0001, port: UInt16.random(in: 1...2, using: &random))
      var one: [[UInt8]] = []
      for bytes in datagrams {
        if let message = single.bob.message(of: bytes, from: source, at: single.now) { one.append(message) }
      }
      let all = burst.bob.messages(
        of: datagrams.flatMap(\.self), segmentSize: datagrams[0].count, from: source, at: burst.now)
      #expect(all == one)
      let counted = burst.bob.memory.packets.bytes
      #expect(counted == burst.bob.diagnostics.reassemblyBytes - burst.bob.hellos.reassembly.bytes)
      #expect(single.bob.statistics == burst.bob.statistics)
      #expect(single.bob.session(single.bobSession) == burst.bob.session(burst.bobSession))
    }
  }

  /// The way in which datagrams of one message each reach the receiver.
  enum Arrival: CaseIterable { case single, burst }

  /// Brings datagrams of one size in the way that is asked for, and returns their messages.
  private func bring(
    _ datagrams: [[UInt8]], to link: Link, from source: Address, as arrival: Arrival
  ) -> [[UInt8]] {
    switch arrival {
    case .single: datagrams.compactMap { link.bob.message(of: $0, from: source, at: link.now) }
    case .burst:
      link.bob.messages(
        of: datagrams.flatMap(\.self), segmentSize: datagrams.first?.count ?? 1, from: source, at: link.now)
    }
  }

  /// Makes datagrams of one message each.
  private func datagrams(_ count: Int, on link: Link) throws -> [[UInt8]] {
    for number in 0..<count { try link.alice.send([UInt8(number)].rawBytes, on: link.session, at: link.now) }
    return link.alice.takeDatagrams()
  }

  private func moves(_ link: Link) -> [(from: Address, to: Address)] {
    var moves: [(Address, Address)] = []
    while let event = link.bob.nextEvent() {
      if case .moved(link.bobSession, let from, let to) = event { moves.append((from, to)) }
    }
    return moves
  }

  // [DEC-30]
  @Test("new datagrams from another address move the session there, once", arguments: Arrival.allCases, [1, 2, 7])
  func roaming(arrival: Arrival, count: Int) throws {
    let link = try Link(provider)
    let elsewhere = Address(ipv4: 0x0A00_0063, port: 99)
    #expect(bring(try datagrams(2, on: link), to: link, from: Link.from, as: arrival).count == 2)
    #expect(moves(link).isEmpty)
    #expect(bring(try datagrams(count, on: link), to: link, from: elsewhere, as: arrival).count == count)
    let made = moves(link)
    #expect(made.count == 1 && made.first?.from == Link.from && made.first?.to == elsewhere)
    #expect(link.bob.session(link.bobSession)?.address == elsewhere)
    // What is sent from now on goes there.
    try link.bob.send([1].rawBytes, on: link.bobSession, at: link.now)
    #expect(link.bob.outbox.runs.map(\.address) == [elsewhere])
  }

  // [DEC-31]
  @Test(
    "old datagrams bring their messages from another address and do not move the session", arguments: Arrival.allCases)
  func oldDatagramsDoNotMove(arrival: Arrival) throws {
    let link = try Link(provider)
    let held = try datagrams(5, on: link)
    #expect(bring(try datagrams(1, on: link), to: link, from: Link.from, as: arrival).count == 1)
    #expect(bring(held, to: link, from: Address(ipv4: 0x0A00_0063, port: 99), as: arrival).count == 5)
    #expect(moves(link).isEmpty)
    #expect(link.bob.session(link.bobSession)?.address == Link.from)
  }

  @Test("one new datagram among old ones is enough", arguments: Arrival.allCases, [0, 2, 5])
  func newAmongOld(arrival: Arrival, place: Int) throws {
    let link = try Link(provider)
    let elsewhere = Address(ipv4: 0x0A00_0063, port: 99)
    var mixed = try datagrams(5, on: link)
    #expect(bring(try datagrams(1, on: link), to: link, from: Link.from, as: arrival).count == 1)
    mixed.insert(try datagrams(1, on: link)[0], at: place)
    #expect(bring(mixed, to: link, from: elsewhere, as: arrival).count == 6)
    #expect(moves(link).map(\.to) == [elsewhere])
  }

  // [DEC-31]
  @Test("forged and repeated datagrams do not move the session", arguments: Arrival.allCases, [false, true])
  func forgedDatagramsDoNotMove(arrival: Arrival, isRepeated: Bool) throws {
    let link = try Link(provider)
    var made = try datagrams(4, on: link)
    if isRepeated {
      #expect(bring(made, to: link, from: Link.from, as: arrival).count == 4)
    } else {
      // The last byte is of the tag: everything is right but that.
      for index in made.indices { made[index][made[index].count - 1] ^= 1 }
    }
    #expect(bring(made, to: link, from: Address(ipv4: 0x0A00_0063, port: 99), as: arrival).isEmpty)
    #expect(moves(link).isEmpty)
    #expect(link.bob.session(link.bobSession)?.address == Link.from)
  }

  /// Repeats, forges and shortens some of the datagrams, all of one size but the last.
  private static func disturb(_ datagrams: inout [[UInt8]], with old: [[UInt8]], random: inout SplitMix64) {
    let size = datagrams[0].count
    for index in datagrams.indices {
      switch Int.random(in: 0..<12, using: &random) {
      case 0: datagrams[index][Int.random(in: 0..<size, using: &random)] ^= 1 << UInt8.random(in: 0...7, using: &random)
      case 1: datagrams[index] = datagrams[Int.random(in: 0...index, using: &random)]
      case 2: if let repeated = old.first(where: { $0.count == size }) { datagrams[index] = repeated }
      case 3: datagrams[index].replaceSubrange(0..<4, with: [0, 0, 0, 0])
      default: break
      }
    }
    if Bool.random(using: &random) {
      datagrams[datagrams.count - 1].removeLast(Int.random(in: 0..<size, using: &random))
    }
  }
}

extension Endpoint {
  /// Takes the datagrams that must go out.
  fileprivate mutating func takeDatagrams() -> [[UInt8]] {
    defer { outbox.removeAll() }
    return outbox.datagrams
  }

  /// Receives one datagram and returns its message, if it brings one.
  fileprivate mutating func message(of datagram: [UInt8], from source: Address, at now: Instant) -> [UInt8]? {
    var bytes = datagram
    switch bytes.withMutableBytes({ receive(&$0, from: source, at: now) }) {
    case .message(_, let range): return Array(bytes[range])
    case .assembled(_, let message): return message
    case .handled, .dropped: return nil
    }
  }

  /// Receives a burst and returns its messages.
  fileprivate mutating func messages(
    of burst: [UInt8], segmentSize: Int, from source: Address, at now: Instant
  ) -> [[UInt8]] {
    var bytes = burst
    bytes.withMutableBytes { receive(burst: &$0, segmentSize: segmentSize, from: source, at: now) }
    defer { inbox.removeAll(keepingCapacity: true) }
    return inbox.map { $0.assembled ?? Array(bytes[$0.range]) }
  }
}
