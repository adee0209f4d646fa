// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP
import ZSSPTestSupport

@testable import ZSSPCapture

@Suite(.tags(.fast)) struct TroubleTests {
  private let client = Packets.client
  private let server = Packets.server

  private func kinds(_ script: Script, options: DecoderOptions = DecoderOptions()) throws -> [Trouble.Kind] {
    try script.decode(options).troubles.map(\.kind)
  }

  private func protected(_ keyID: UInt32, size: Int = 200, fill: UInt8 = 3) -> [UInt8] {
    Packets.big(keyID) + [UInt8](repeating: fill, count: size - 4)
  }

  @Test("a Hello that is repeated and never answered")
  func unanswered() throws {
    var script = Script()
    for _ in 0..<5 {
      for part in Packets.hello(keyID: 7) { script.send(part, after: 500) }
    }
    let troubles = try script.decode().troubles
    let trouble = try #require(troubles.first)
    #expect(troubles.count == 1)
    #expect(trouble.kind == .unansweredHello)
    #expect(trouble.source == client && trouble.destination == server)
    #expect(trouble.text == "a Hello was sent 5 times in 4.0 s, and nothing ever came back")
    #expect(trouble.firstFrame == 1)
  }

  @Test("a Hello that is answered is no trouble, and one alone is not either")
  func answered() throws {
    var script = Script()
    for part in Packets.hello(keyID: 7) { script.send(part) }
    #expect(try kinds(script) == [])
    for part in Packets.hello(keyID: 7) { script.send(part, after: 1000) }
    script.send(protected(7), from: server, to: client)
    #expect(try kinds(script) == [])
  }

  @Test("an answer from another address than was asked")
  func elsewhere() throws {
    var script = Script()
    let other = Address(ipv4: 0xC633_6408, port: 20_763)
    for _ in 0..<3 {
      for part in Packets.hello(keyID: 7) { script.send(part, after: 500) }
      script.send(protected(7), from: other, to: client)
    }
    let troubles = try script.decode().troubles
    #expect(troubles.map(\.kind).first == .answerFromElsewhere)
    #expect(troubles.first?.text == "198.51.100.8:20763 answers a Hello that went to 198.51.100.7:20763")
    #expect(troubles.first?.count == 3)
  }

  @Test("a Hello that answers a challenge and is challenged again")
  func challengeLoop() throws {
    var script = Script()
    for part in Packets.hello(keyID: 7) { script.send(part) }
    for round in 1...4 as ClosedRange<UInt64> {
      script.send(Packets.challenge(keyID: 7, counter: round), from: server, to: client)
      for part in Packets.hello(keyID: 7, answers: round) { script.send(part, after: 500) }
    }
    let troubles = try script.decode().troubles
    #expect(troubles.map(\.kind) == [.challengeLoop])
    #expect(troubles.first?.count == 2)
  }

  @Test("a challenge that is answered once is no trouble")
  func challenged() throws {
    var script = Script()
    for part in Packets.hello(keyID: 7) { script.send(part) }
    script.send(Packets.challenge(keyID: 7, counter: 1), from: server, to: client)
    for part in Packets.hello(keyID: 7, answers: 1) { script.send(part) }
    script.send(protected(7), from: server, to: client)
    #expect(try kinds(script) == [])
  }

  @Test("handshakes that begin again and again")
  func unfinished() throws {
    var script = Script()
    for seed in 1...4 as ClosedRange<UInt8> {
      for part in Packets.hello(keyID: UInt32(seed), seed: seed) { script.send(part, after: 5000) }
      script.send(protected(UInt32(seed), size: 843), from: server, to: client)
      // X3, twice
      for _ in 0..<2 { script.send(protected(900, size: 97, fill: seed)) }
    }
    #expect(try kinds(script) == [.repeated, .unfinishedHandshake])
  }

  @Test("ICMP says what the path takes, and larger datagrams follow")
  func tooBig() throws {
    var script = Script()
    let large = Packets.ip(Packets.udp(protected(9, size: 1400), from: client, to: server), from: client, to: server)
    script.add(Packets.ethernet(large))
    script.add(Packets.icmp(type: 3, code: 4, word: 1300, about: large, to: client))
    script.send(protected(9, size: 1400, fill: 4))
    script.send(protected(9, size: 1200, fill: 4))
    let troubles = try script.decode().troubles
    #expect(troubles.map(\.kind) == [.tooBig, .sentTooBig])
    #expect(troubles.first?.text == "10.0.0.1 says that IP packets may have 1300 bytes at most")
    #expect(troubles.last?.text == "IP packets of 1428 bytes were sent after ICMP had asked for 1300")
    #expect(
      try script.text().contains(
        "10.0.0.1: ICMP about 192.0.2.1:40000 > 198.51.100.7:20763: too big, the path takes 1300 bytes"))
  }

  @Test(
    "ICMP says that datagrams do not arrive",
    arguments: [(UInt8(3), Trouble.Kind.portUnreachable), (13, .prohibited), (1, .unreachable)])
  func unreachable(code: UInt8, kind: Trouble.Kind) throws {
    var script = Script()
    script.send(protected(9))
    let packet = Packets.ip(Packets.udp(protected(9), from: client, to: server), from: client, to: server)
    script.add(Packets.icmp(type: 3, code: code, word: 0, about: packet, to: client))
    // About a flow that is another protocol's
    let other = Packets.ip(
      Packets.udp([1], from: client.withPort(1), to: server.withPort(2)), from: client, to: server)
    script.add(Packets.icmp(type: 3, code: code, word: 0, about: other, to: client))
    #expect(try kinds(script) == [kind])
  }

  @Test("IP fragments, and one that never comes")
  func ipFragments() throws {
    var script = Script()
    let datagram = Packets.udp(protected(9, size: 1400), from: client, to: server)
    func add(_ range: Range<Int>, id: UInt16, hasMore: Bool) {
      script.add(
        Packets.ethernet(
          Packets.ip(
            Array(datagram[range]), from: client, to: server, id: id, isDontFragment: false, offset: range.lowerBound,
            hasMore: hasMore)))
    }
    add(0..<800, id: 1, hasMore: true)
    add(800..<1408, id: 1, hasMore: false)
    #expect(try kinds(script) == [.cutByIP])
    #expect(try script.text().contains("key id 00000009, 1400 bytes, in IP fragments"))
    add(0..<800, id: 2, hasMore: true)
    #expect(try kinds(script) == [.cutByIP, .missingIPFragment])
  }

  /// The head of a datagram of ZSSP in an IP fragment.
  private func head(id: UInt16, size: Int = 800) -> [UInt8] {
    let datagram = Packets.udp(protected(9, size: 1400), from: client, to: server)
    return Packets.ethernet(
      Packets.ip(
        Array(datagram[..<size]), from: client, to: server, id: id, isDontFragment: false, hasMore: true))
  }

  @Test("an IP fragment that never comes is reported, however many others make it give way")
  func evictedIPFragments() throws {
    var script = Script()
    script.add(head(id: 1))
    // Of another protocol, and without heads
    for id in 0..<(3 * IPReassembly.largestCount) {
      script.add(
        Packets.ethernet(
          Packets.ip(
            [UInt8](repeating: 1, count: 8), from: server.withPort(0), to: client.withPort(0), id: UInt16(id),
            isDontFragment: false, offset: 800, hasMore: true)))
    }
    let troubles = try script.decode().troubles
    #expect(troubles.map(\.kind) == [.missingIPFragment])
    #expect(troubles.first?.source == client)
    #expect(troubles.first?.text == "IP fragments of a datagram did not come before those of 64 others")
  }

  @Test("IP fragments that overlap are reported")
  func overlappingIPFragments() throws {
    var script = Script()
    script.add(head(id: 1))
    script.add(
      Packets.ethernet(
        Packets.ip(
          [UInt8](repeating: 1, count: 800), from: client, to: server, id: 1, isDontFragment: false, offset: 400)))
    let troubles = try script.decode().troubles
    #expect(troubles.map(\.kind) == [.badIPFragments])
    #expect(troubles.first?.destination == server)
  }

  @Test("a fragment of a Hello that never comes")
  func missingFragment() throws {
    var script = Script()
    script.send(Packets.hello(keyID: 7)[0])
    script.send(protected(9), after: 6000)
    let troubles = try script.decode().troubles
    #expect(troubles.map(\.kind) == [.missingFragment])
    #expect(troubles.first?.text == "X1 Hello: of 2 fragments 2 never came")
  }

  @Test("a datagram that comes again")
  func repeated() throws {
    var script = Script()
    for _ in 0..<3 { script.send(protected(9)) }
    script.send(protected(9, fill: 4))
    let troubles = try script.decode().troubles
    #expect(troubles.map(\.kind) == [.repeated])
    #expect(troubles.first?.count == 2)
  }

  @Test("troubles and flows are bounded")
  func bounds() throws {
    var options = DecoderOptions()
    options.flows = 10
    options.troubles = 5
    var script = Script()
    for port in 1...100 as ClosedRange<UInt16> {
      for _ in 0..<2 {
        for part in Packets.hello(keyID: UInt32(port)) { script.send(part, from: Address(ipv4: 1, port: port)) }
      }
    }
    let recorder = Recorder()
    var decoder = Decoder(options, output: recorder)
    try decoder.run(MemorySource(script.capture))
    #expect(decoder.troubles.count == 5)
    #expect(decoder.omittedTroubles == 95)
    let sink = MemorySink()
    try TextOutput(sink).summarize(decoder)
    #expect(sink.text.contains("! more troubles, which are not shown: 95"))
  }

  /// Many small fragments before large ones: each large one needs the room of several.
  @Test("the bytes of incomplete packets are bounded")
  func fragmentBytes() throws {
    var script = Script()
    for seed in 0..<200 as Range<UInt8> {
      let header: [UInt8] = [0, 0, 0, 0, 0, 2, 0, 0] + [UInt8](repeating: seed, count: 8)
      script.send(header + [UInt8](repeating: 1, count: seed < 100 ? 16 : 1000))
    }
    var decoder = Decoder(DecoderOptions(), output: Recorder())
    decoder.fragments = FragmentStore(FragmentStore.Limits(bytes: 10_000))
    var reader = CaptureReader(MemorySource(script.capture))
    var highest = 0
    while let frame = try reader.next() {
      try decoder.decode(frame, bytes: reader.bytes)
      highest = max(highest, decoder.fragments.byteCount)
    }
    #expect(highest > 10_000 && highest <= 11_000)
    #expect(decoder.troubles.map(\.kind) == [.missingFragment])
  }

  @Test("every trouble says what to do")
  func advice() {
    for kind in Trouble.Kind.allCases {
      let trouble = Trouble(
        kind: kind, source: client, destination: server, count: 1, firstFrame: 1, firstTime: 0, lastTime: 0, text: "")
      #expect(!trouble.advice.isEmpty)
    }
  }
}
