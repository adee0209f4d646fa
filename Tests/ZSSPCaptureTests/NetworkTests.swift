// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP
import ZSSPTestSupport

@testable import ZSSPCapture

@Suite(.tags(.fast)) struct NetworkTests {
  private static let packet = Packets.ip(
    Packets.udp([1, 2, 3], from: Packets.client, to: Packets.server), from: Packets.client, to: Packets.server)
  private static let packetV6 = Packets.ip(
    Packets.udp([1, 2, 3], from: Packets.clientV6, to: Packets.serverV6), from: Packets.clientV6,
    to: Packets.serverV6)

  private static let zeros = [UInt8](repeating: 0, count: 12)

  private struct Link: CustomStringConvertible {
    let description: String
    let link: Int
    let header: [UInt8]
    var offset: Int?
    var isIPv6 = false
  }

  private static let links = [
    Link(description: "Ethernet", link: 1, header: zeros + [8, 0], offset: 14),
    Link(description: "VLAN", link: 1, header: zeros + [0x81, 0, 0, 5, 8, 0], offset: 18),
    Link(
      description: "stacked VLAN", link: 1, header: zeros + [0x88, 0xA8, 0, 5, 0x81, 0, 0, 6, 8, 0], offset: 22),
    Link(
      description: "four tags", link: 1,
      header: zeros + [0x88, 0xA8, 0, 5, 0x81, 0, 0, 6, 0x91, 0, 0, 7, 0x81, 0, 0, 8, 8, 0], offset: 30),
    Link(
      description: "five tags", link: 1,
      header: zeros + (0..<5).flatMap { _ in [0x81, 0, 0, 6] as [UInt8] } + [8, 0], offset: nil),
    Link(description: "ARP", link: 1, header: zeros + [8, 6], offset: nil),
    Link(description: "cooked", link: 113, header: zeros + [0, 0, 8, 0], offset: 16),
    Link(description: "cooked, IPv6", link: 113, header: zeros + [0, 0, 0x86, 0xDD], offset: 16, isIPv6: true),
    Link(description: "cooked 2", link: 276, header: [8, 0] + zeros + [0, 0, 0, 0, 0, 0], offset: 20),
    Link(
      description: "cooked 2, VLAN", link: 276, header: [0x81, 0] + zeros + [0, 0, 0, 0, 0, 0, 0, 5, 8, 0], offset: 24),
    Link(description: "raw", link: 101, header: [], offset: 0),
    Link(description: "raw IPv6", link: 229, header: [], offset: 0, isIPv6: true),
    Link(description: "null", link: 0, header: [2, 0, 0, 0], offset: 4),
    Link(description: "null, big-endian", link: 0, header: [0, 0, 0, 30], offset: 4, isIPv6: true),
    Link(description: "loop", link: 108, header: [0, 0, 0, 2], offset: 4),
    Link(description: "null, other family", link: 0, header: [1, 0, 0, 0], offset: nil),
    Link(description: "another link", link: 147, header: [], offset: nil),
  ]

  @Test("the IP packet is found behind each link header, and not in a cut one", arguments: links)
  private func link(_ link: Link) {
    let frame = link.header + (link.isIPv6 ? Self.packetV6 : Self.packet)
    #expect(LinkLayer.ipOffset(frame.rawBytes, link: link.link) == link.offset)
    #expect(LinkLayer.isKnown(link.link) == (link.link != 147))
    for end in 0..<link.header.count {
      let cut = Array(frame[..<end])
      #expect(LinkLayer.ipOffset(cut.rawBytes, link: link.link) == nil)
    }
  }

  @Test("headers of IP are read, and cut ones refused", arguments: [packet, packetV6])
  func headers(packet: [UInt8]) throws {
    let isIPv6 = packet[0] >> 4 == 6
    let read = try #require(ipPacket(packet))
    #expect(read.source == (isIPv6 ? Packets.clientV6 : Packets.client).withPort(0))
    #expect(read.destination == (isIPv6 ? Packets.serverV6 : Packets.server).withPort(0))
    #expect(read.transport == 17)
    #expect(read.payload == (isIPv6 ? 40 : 20)..<packet.count)
    #expect(read.payloadSize == 11)
    #expect(read.size == packet.count)
    #expect(read.isDontFragment)
    for end in 0..<(isIPv6 ? 40 : 20) {
      let cut = Array(packet[..<end])
      #expect(IPPacket(cut.rawBytes, at: 0) == nil)
    }
  }

  @Test("an IPv4 header may have options, and its lengths are checked")
  func lengths() throws {
    var packet = Self.packet
    packet[0] = 0x46
    #expect(IPPacket(packet.rawBytes, at: 0)?.payload == 24..<packet.count)
    packet[0] = 0x44
    #expect(IPPacket(packet.rawBytes, at: 0) == nil)
    packet[0] = 0x4F
    #expect(IPPacket(packet.rawBytes, at: 0) == nil)
    packet[0] = 0x45
    packet[3] = 19
    #expect(IPPacket(packet.rawBytes, at: 0) == nil)
    // A length that the capture does not have, and one that the network device would write.
    packet[2] = 0xFF
    let long = try #require(ipPacket(packet))
    #expect(long.payload == 20..<packet.count)
    #expect(long.payloadSize > long.payload.count)
    packet.replaceSubrange(2..<4, with: [0, 0])
    #expect(IPPacket(packet.rawBytes, at: 0)?.payloadSize == 11)
  }

  @Test("extension headers of IPv6 are skipped, up to eight")
  func extensions() throws {
    let hop: (UInt8, [UInt8]) = (0, [0] + [UInt8](repeating: 0, count: 6))
    let options: (UInt8, [UInt8]) = (60, [1] + [UInt8](repeating: 0, count: 14))
    let authentication: (UInt8, [UInt8]) = (51, [1] + [UInt8](repeating: 0, count: 10))
    let whole: (UInt8, [UInt8]) = (44, [0, 0, 0, 0, 0, 0, 1])
    func read(_ extensions: [(UInt8, [UInt8])]) -> IPPacket? {
      let bytes = Packets.ipv6(
        [1, 2, 3], from: Packets.clientV6, to: Packets.serverV6,
        extensions: extensions.map { (number: $0.0, rest: $0.1) })
      return IPPacket(bytes.rawBytes, at: 0)
    }
    let packet = try #require(read([hop, options, authentication, whole]))
    #expect(packet.transport == 17)
    #expect(packet.payload.count == 3)
    #expect(packet.fragment == nil)
    #expect(read([hop] + [(UInt8, [UInt8])](repeating: options, count: 6))?.transport == 17)
    #expect(read([(UInt8, [UInt8])](repeating: options, count: 8)) == nil)
    // The first header has a length beyond the packet.
    #expect(read([(60, [200] + [UInt8](repeating: 0, count: 6))]) == nil)
  }

  @Test("a later fragment of IPv6 has no headers to follow")
  func laterFragment() throws {
    let packet = Packets.ipv6(
      [60, 60, 60, 60, 60, 60, 60, 60], from: Packets.clientV6, to: Packets.serverV6,
      extensions: [(number: 44, rest: [0, 0, 8, 0, 0, 0, 9])])
    let read = try #require(ipPacket(packet))
    #expect(read.fragment?.offset == 8)
    #expect(read.fragment?.id == 9)
    #expect(read.transport == 17)
  }

  @Test("frames of a link that is not known are counted")
  func unknownLinks() throws {
    let frame = Packets.frame([UInt8](repeating: 1, count: 40), from: Packets.client, to: Packets.server)
    var decoder = Decoder(DecoderOptions(), output: Recorder())
    try decoder.decode(Frame(time: 0, captured: frame.count, original: frame.count, link: 1), bytes: frame.rawBytes)
    #expect(decoder.counts.unknownLink == nil)
    for link in [105, 127] {
      try decoder.decode(
        Frame(time: 0, captured: frame.count, original: frame.count, link: link), bytes: frame.rawBytes)
    }
    // Known, and no IP in it
    try decoder.decode(Frame(time: 0, captured: 4, original: 4, link: 1), bytes: [0, 0, 0, 0].rawBytes)
    #expect(decoder.counts.unknownLink == 105)
    #expect(decoder.counts.unknownLinkFrames == 2)
    #expect(decoder.counts.otherFrames == 3)
  }

  // MARK: Fragments

  private func fragments(of payload: [UInt8], size: Int, id: UInt16 = 7) -> [[UInt8]] {
    stride(from: 0, to: payload.count, by: size).map { start in
      let end = min(payload.count, start + size)
      return Packets.ip(
        Array(payload[start..<end]), from: Packets.client, to: Packets.server, id: id, isDontFragment: false,
        offset: start, hasMore: end < payload.count)
    }
  }

  private func insert(_ bytes: [UInt8], into reassembly: inout IPReassembly, at time: Int64 = 0) throws -> [UInt8]? {
    try outcome(of: bytes, in: &reassembly, at: time).payload
  }

  private func outcome(
    of bytes: [UInt8], in reassembly: inout IPReassembly, at time: Int64 = 0
  ) throws -> IPReassembly.Outcome {
    let packet = try #require(ipPacket(bytes))
    let fragment = try #require(packet.fragment)
    return reassembly.insert(packet, fragment: fragment, payload: bytes.rawBytes.extracting(packet.payload), at: time)
  }

  @Test("fragments are joined in any order, and once")
  func order() throws {
    let payload = (0..<100).map { UInt8($0) }
    let parts = fragments(of: payload, size: 24)
    for rotation in parts.indices {
      var reassembly = IPReassembly()
      let ordered = parts[rotation...] + parts[..<rotation]
      var results: [[UInt8]] = []
      for part in ordered {
        if let whole = try insert(part, into: &reassembly) { results.append(whole) }
        // The same again, as a capture of two interfaces has it.
        if reassembly.count > 0, let whole = try insert(part, into: &reassembly) { results.append(whole) }
      }
      #expect(results == [payload])
      #expect(reassembly.count == 0)
    }
  }

  @Test("a packet with overlapping fragments is abandoned")
  func overlap() throws {
    var reassembly = IPReassembly()
    let payload = [UInt8](repeating: 1, count: 64)
    let first = Packets.ip(
      payload, from: Packets.client, to: Packets.server, isDontFragment: false, offset: 0, hasMore: true)
    let second = Packets.ip(
      payload, from: Packets.client, to: Packets.server, isDontFragment: false, offset: 32, hasMore: false)
    #expect(try insert(first, into: &reassembly) == nil)
    let outcome = try outcome(of: second, in: &reassembly)
    #expect(outcome.payload == nil)
    #expect(outcome.abandoned?.reason == .contradiction)
    #expect(outcome.abandoned?.head == payload)
    #expect(reassembly.count == 0)
    #expect(reassembly.abandonedCount == 1)
  }

  @Test("incomplete packets are bounded and expire")
  func bounds() throws {
    var reassembly = IPReassembly()
    for id in 0..<200 {
      let part = Packets.ip(
        [UInt8](repeating: 1, count: 8), from: Packets.client, to: Packets.server, id: UInt16(id),
        isDontFragment: false, offset: 0, hasMore: true)
      let outcome = try outcome(of: part, in: &reassembly)
      #expect(outcome.payload == nil)
      #expect((outcome.abandoned?.reason == .evicted) == (id >= IPReassembly.largestCount))
      #expect(reassembly.count <= IPReassembly.largestCount)
    }
    #expect(reassembly.expire(at: IPReassembly.timeout) == nil)
    var expired = 0
    while let abandoned = reassembly.expire(at: IPReassembly.timeout + 1) {
      #expect(abandoned.head == [UInt8](repeating: 1, count: 8))
      expired += 1
    }
    #expect(expired == IPReassembly.largestCount)
  }

  @Test("a packet of too many fragments is abandoned")
  func manyFragments() throws {
    var reassembly = IPReassembly()
    for index in 0...IPReassembly.largestFragmentCount {
      // Every other place stays free.
      let part = Packets.ip(
        [UInt8](repeating: 1, count: 8), from: Packets.client, to: Packets.server, isDontFragment: false,
        offset: index * 16, hasMore: true)
      #expect(try insert(part, into: &reassembly) == nil)
    }
    #expect(reassembly.count == 0)
  }

  // MARK: ICMP

  @Test("errors of ICMP tell the datagram and the problem", arguments: [false, true])
  func icmp(isIPv6: Bool) throws {
    let client = isIPv6 ? Packets.clientV6 : Packets.client
    let server = isIPv6 ? Packets.serverV6 : Packets.server
    let quoted = Packets.ip(
      Packets.udp([UInt8](repeating: 0, count: 32), from: client, to: server), from: client, to: server)
    let cases: [(UInt8, UInt8, UInt32, ICMPError.Problem?)] =
      isIPv6
      ? [
        (2, 0, 1280, .tooBig(mtu: 1280)), (1, 4, 0, .portUnreachable), (1, 1, 0, .prohibited), (1, 0, 0, .unreachable),
        (128, 0, 0, nil), (3, 3, 0, nil),
      ]
      : [
        (3, 4, 1300, .tooBig(mtu: 1300)), (3, 3, 0, .portUnreachable), (3, 13, 0, .prohibited),
        (3, 1, 0, .unreachable), (8, 0, 0, nil), (1, 4, 0, nil),
      ]
    for (type, code, word, problem) in cases {
      let message = [type, code, 0, 0] + Packets.big(word) + quoted
      let error = ICMPError(message.rawBytes, isIPv6: isIPv6)
      #expect(error?.problem == problem)
      guard problem != nil else { continue }
      #expect(error?.source == client)
      #expect(error?.destination == server)
      for end in 0..<(8 + (isIPv6 ? 44 : 24)) {
        let cut = Array(message[..<end])
        #expect(ICMPError(cut.rawBytes, isIPv6: isIPv6) == nil)
      }
    }
  }
}
