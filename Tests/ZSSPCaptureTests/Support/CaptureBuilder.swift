// SPDX-License-Identifier: Apache-2.0
import ZSSP

@testable import ZSSPCapture

/// Bytes in one byte order.
struct ByteWriter {
  var bytes: [UInt8] = []
  let isBigEndian: Bool

  init(isBigEndian: Bool) { self.isBigEndian = isBigEndian }

  mutating func add(_ value: some FixedWidthInteger) {
    let width = value.bitWidth / 8
    let ordered = (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * (isBigEndian ? width - 1 - $0 : $0))) }
    bytes += ordered
  }

  mutating func add(_ more: [UInt8]) { bytes += more }
}

/// The layouts of captures that tools write.
enum CaptureLayout: CaseIterable, CustomStringConvertible {
  case pcapLittle, pcapBig, pcapNanosecondsLittle, pcapNanosecondsBig
  case pcapngLittle, pcapngBig, pcapngNanoseconds, pcapngBinaryClock, pcapngOldPackets

  var description: String {
    switch self {
    case .pcapLittle: "pcap, little-endian"
    case .pcapBig: "pcap, big-endian"
    case .pcapNanosecondsLittle: "pcap with nanoseconds, little-endian"
    case .pcapNanosecondsBig: "pcap with nanoseconds, big-endian"
    case .pcapngLittle: "pcapng, little-endian"
    case .pcapngBig: "pcapng, big-endian"
    case .pcapngNanoseconds: "pcapng with nanoseconds and options"
    case .pcapngBinaryClock: "pcapng with a binary clock and an offset"
    case .pcapngOldPackets: "pcapng with obsolete packet blocks"
    }
  }

  private var isBigEndian: Bool {
    switch self {
    case .pcapBig, .pcapNanosecondsBig, .pcapngBig: true
    default: false
    }
  }

  /// The bytes of a capture with these frames. Times are whole microseconds.
  func capture(_ frames: [(time: Int64, bytes: [UInt8])], link: Int = 1) -> [UInt8] {
    switch self {
    case .pcapLittle, .pcapBig: pcap(frames, link: link, magic: 0xA1B2_C3D4, unit: 1000)
    case .pcapNanosecondsLittle, .pcapNanosecondsBig: pcap(frames, link: link, magic: 0xA1B2_3C4D, unit: 1)
    default: pcapng(frames, link: link)
    }
  }

  private func pcap(
    _ frames: [(time: Int64, bytes: [UInt8])], link: Int, magic: UInt32, unit: Int64
  ) -> [UInt8] {
    var writer = ByteWriter(isBigEndian: isBigEndian)
    writer.add(magic)
    writer.add(UInt16(2))
    writer.add(UInt16(4))
    writer.add(UInt64(0))
    writer.add(UInt32(262_144))
    writer.add(UInt32(link))
    for frame in frames {
      writer.add(UInt32(frame.time / 1_000_000_000))
      writer.add(UInt32(frame.time % 1_000_000_000 / unit))
      writer.add(UInt32(frame.bytes.count))
      writer.add(UInt32(frame.bytes.count))
      writer.add(frame.bytes)
    }
    return writer.bytes
  }

  private func pcapng(_ frames: [(time: Int64, bytes: [UInt8])], link: Int) -> [UInt8] {
    var writer = ByteWriter(isBigEndian: isBigEndian)
    addBlock(0x0A0D_0D0A, to: &writer) { block in
      block.add(UInt32(0x1A2B_3C4D))
      block.add(UInt16(1))
      block.add(UInt16(0))
      block.add(UInt64.max)
    }
    addBlock(1, to: &writer) { block in
      block.add(UInt16(link))
      block.add(UInt16(0))
      block.add(UInt32(0))
      if self == .pcapngNanoseconds { addOptions(to: &block, resolution: 9, offset: nil) }
      // 2^-20 seconds, and an offset of 1000 s
      if self == .pcapngBinaryClock { addOptions(to: &block, resolution: 0x80 | 20, offset: 1000) }
    }
    // A block of an unknown kind, between those that count.
    addBlock(0x0BAD, to: &writer) { $0.add([1, 2, 3, 4]) }
    for frame in frames {
      addBlock(self == .pcapngOldPackets ? 2 : 6, to: &writer) { block in
        if self == .pcapngOldPackets {
          block.add(UInt16(0))
          block.add(UInt16(7))
        } else {
          block.add(UInt32(0))
        }
        let ticks = ticks(frame.time)
        block.add(UInt32(truncatingIfNeeded: ticks >> 32))
        block.add(UInt32(truncatingIfNeeded: ticks))
        block.add(UInt32(frame.bytes.count))
        block.add(UInt32(frame.bytes.count))
        block.add(frame.bytes)
        block.add([UInt8](repeating: 0, count: (4 - frame.bytes.count % 4) % 4))
        if self == .pcapngNanoseconds {
          // A comment, and the end of the options.
          block.add(UInt16(1))
          block.add(UInt16(5))
          block.add(Array("hello".utf8) + [0, 0, 0])
          block.add(UInt32(0))
        }
      }
    }
    return writer.bytes
  }

  private func ticks(_ time: Int64) -> UInt64 {
    switch self {
    case .pcapngNanoseconds: UInt64(time)
    case .pcapngBinaryClock:
      (UInt64(time) / 1_000_000_000 - 1000) << 20 + (UInt64(time) % 1_000_000_000) << 20 / 1_000_000_000
    default: UInt64(time / 1000)
    }
  }

  private func addOptions(to block: inout ByteWriter, resolution: UInt8, offset: UInt64?) {
    block.add(UInt16(9))
    block.add(UInt16(1))
    block.add([resolution, 0, 0, 0])
    if let offset {
      block.add(UInt16(14))
      block.add(UInt16(8))
      block.add(offset)
    }
    block.add(UInt32(0))
  }

  private func addBlock(_ type: UInt32, to writer: inout ByteWriter, body: (inout ByteWriter) -> Void) {
    var block = ByteWriter(isBigEndian: isBigEndian)
    body(&block)
    writer.add(type)
    writer.add(UInt32(block.bytes.count + 12))
    writer.add(block.bytes)
    writer.add(UInt32(block.bytes.count + 12))
  }
}

/// Packets and frames.
enum Packets {
  static let client = Address(ipv4: 0xC000_0201, port: 40_000)
  static let server = Address(ipv4: 0xC633_6407, port: 20_763)
  static let clientV6 = Address(ipv6: 0x2001_0DB8_0000_0000, 1, port: 40_000)
  static let serverV6 = Address(ipv6: 0x2001_0DB8_0000_0000, 2, port: 20_763)

  static func big(_ value: some FixedWidthInteger) -> [UInt8] {
    var writer = ByteWriter(isBigEndian: true)
    writer.add(value)
    return writer.bytes
  }

  static func udp(_ payload: [UInt8], from source: Address, to destination: Address) -> [UInt8] {
    big(source.port) + big(destination.port) + big(UInt16(8 + payload.count)) + [0, 0] + payload
  }

  /// An IP packet, or a fragment of one.
  static func ip(
    _ payload: [UInt8], transport: UInt8 = 17, from source: Address, to destination: Address, id: UInt16 = 0,
    isDontFragment: Bool = true, offset: Int = 0, hasMore: Bool = false
  ) -> [UInt8] {
    guard source.family == .ipv4 else { return ipv6(payload, transport: transport, from: source, to: destination) }
    let flags = UInt16(offset / 8) | (hasMore ? 0x2000 : 0) | (isDontFragment ? 0x4000 : 0)
    return [0x45, 0] + big(UInt16(20 + payload.count)) + big(id) + big(flags) + [64, transport, 0, 0]
      + big(UInt32(source.low)) + big(UInt32(destination.low)) + payload
  }

  /// An IPv6 packet with extension headers in front of the payload: each as its number, and the
  /// bytes behind its first one, which names what follows.
  static func ipv6(
    _ payload: [UInt8], transport: UInt8 = 17, from source: Address, to destination: Address,
    extensions: [(number: UInt8, rest: [UInt8])] = []
  ) -> [UInt8] {
    let numbers = extensions.map(\.number) + [transport]
    let headers = zip(extensions, numbers.dropFirst()).flatMap { [$1] + $0.rest }
    return [0x60, 0, 0, 0] + big(UInt16(headers.count + payload.count)) + [numbers[0], 64]
      + big(source.high) + big(source.low) + big(destination.high) + big(destination.low) + headers + payload
  }

  static func ethernet(_ packet: [UInt8], tags: [UInt16] = []) -> [UInt8] {
    let type: UInt16 = (packet.first ?? 0) >> 4 == 6 ? 0x86DD : 0x0800
    return [UInt8](repeating: 2, count: 12) + tags.flatMap { big($0) + [0, 7] } + big(type) + packet
  }

  /// A frame with a datagram.
  static func frame(_ payload: [UInt8], from source: Address, to destination: Address) -> [UInt8] {
    ethernet(ip(udp(payload, from: source, to: destination), from: source, to: destination))
  }

  /// An error of ICMP about a datagram, from a router.
  static func icmp(type: UInt8, code: UInt8, word: UInt32, about packet: [UInt8], to host: Address) -> [UInt8] {
    let isIPv6 = host.family == .ipv6
    let router = isIPv6 ? Address(ipv6: 0x2001_0DB8_0000_00FF, 9, port: 0) : Address(ipv4: 0x0A00_0001, port: 0)
    let message = [type, code, 0, 0] + big(word) + packet.prefix(64)
    return ethernet(ip(message, transport: isIPv6 ? 58 : 1, from: router, to: host))
  }

  /// The datagrams of a Hello, with bytes that depend on `seed` only.
  static func hello(keyID: UInt32, seed: UInt8 = 1, answers: UInt64? = nil, mtu: Int = 1200) -> [[UInt8]] {
    var packet = big(keyID) + [UInt8](repeating: seed, count: 1713)
    packet += big(answers ?? 0) + [UInt8](repeating: answers == nil ? 0 : 7, count: 16) + [1, 2, 3, 4, 5, 6, 7, seed]
    let plan = FragmentPlan(size: packet.count, mtu: mtu)
    return (0..<plan.count).map { number in
      [0, 0, 0, 0, UInt8(number), UInt8(plan.count), 0, 0] + [UInt8](repeating: seed, count: 8)
        + packet[plan.range(number)]
    }
  }

  static func challenge(keyID: UInt32, counter: UInt64) -> [UInt8] {
    [0, 0, 0, 0, 0, 1, 0, 9] + big(UInt64(99)) + big(keyID) + big(counter) + [UInt8](repeating: 8, count: 24)
  }
}

/// Takes down what a decoder finds.
final class Recorder: DecoderOutput {
  private(set) var events: [DatagramEvent] = []
  private(set) var messages: [[UInt8]] = []

  func receive(_ event: borrowing DatagramEvent, addresses: [UInt8], message: RawSpan) {
    events.append(copy event)
    if message.byteCount > 0 { messages.append(message.array) }
  }

  func summarize(_ decoder: borrowing Decoder) {}
}

/// A capture that a test makes, frame by frame.
struct Script {
  private(set) var frames: [(time: Int64, bytes: [UInt8])] = []
  private var now: Int64 = 1_700_000_000_000_000_000

  /// Adds a frame after some milliseconds.
  mutating func add(_ frame: [UInt8], after milliseconds: Int64 = 1) {
    now += milliseconds * 1_000_000
    frames.append((now, frame))
  }

  /// Adds a datagram.
  mutating func send(
    _ payload: [UInt8], from source: Address = Packets.client, to destination: Address = Packets.server,
    after milliseconds: Int64 = 1
  ) {
    add(Packets.frame(payload, from: source, to: destination), after: milliseconds)
  }

  var capture: [UInt8] { CaptureLayout.pcapNanosecondsLittle.capture(frames) }

  /// The lines of output.
  func text(_ options: DecoderOptions = DecoderOptions(), keys: KeyRing? = nil, verbose: Bool = false) throws -> String
  {
    let sink = MemorySink()
    let output = TextOutput(sink, verbose: verbose)
    var options = options
    options.collectsFields = verbose
    var decoder = Decoder(options, keys: keys, output: output)
    try decoder.run(MemorySource(capture))
    try output.summarize(decoder)
    return sink.text
  }

  /// The troubles and events.
  func decode(
    _ options: DecoderOptions = DecoderOptions(), keys: KeyRing? = nil
  ) throws -> (troubles: [Trouble], recorder: Recorder, counts: DecoderCounts) {
    let recorder = Recorder()
    var decoder = Decoder(options, keys: keys, output: recorder)
    try decoder.run(MemorySource(capture))
    return (decoder.troubles, recorder, decoder.counts)
  }
}

/// Reads the header of an IP packet. Macros of tests do not take spans.
func ipPacket(_ bytes: [UInt8]) -> IPPacket? { IPPacket(bytes.rawBytes, at: 0) }

/// The size of the datagrams in a payload.
func segmentSize(_ bytes: [UInt8]) -> Int { DatagramSplit.segmentSize(bytes.rawBytes) }
