// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Reads the datagrams of ZSSP in a capture, and finds what prevents sessions.
///
/// The capture may be anything: memory is bounded by ``DecoderOptions`` and the constants of the
/// parts, and no content of it causes a trap.
package struct Decoder: ~Copyable {
  let options: DecoderOptions
  private let output: any DecoderOutput
  package private(set) var counts = DecoderCounts()
  private var ipFragments = IPReassembly()
  private var repeats: RepeatFilter
  var flows: FlowTable
  var troubleList: TroubleList
  var fragments = FragmentStore()
  var pendingHellos = PendingHellos()
  var keys: KeyRing?
  /// The latest time so far.
  private(set) var latest: Int64 = .min

  /// Creates a decoder that gives what it finds to `output`.
  package init(_ options: DecoderOptions, keys: KeyRing? = nil, output: any DecoderOutput) {
    self.options = options
    self.output = output
    self.keys = keys
    repeats = RepeatFilter(count: options.repeats)
    flows = FlowTable(capacity: options.flows)
    troubleList = TroubleList(capacity: options.troubles)
  }

  /// The troubles that were found, in the order in which they were.
  package var troubles: [Trouble] { troubleList.troubles }
  /// The number of different troubles beyond the bound.
  package var omittedTroubles: UInt64 { troubleList.omitted }

  /// Decodes a capture.
  ///
  /// - Throws: ``CaptureError``. All frames before were decoded, and the troubles are those of
  ///   them.
  package mutating func run(_ source: any CaptureSource) throws(CaptureError) {
    var reader = CaptureReader(source)
    do {
      while let frame = try reader.next() { try decode(frame, bytes: reader.bytes) }
    } catch {
      finish()
      throw error
    }
    finish()
  }

  /// Decodes a frame.
  package mutating func decode(_ frame: Frame, bytes: RawSpan) throws(CaptureError) {
    counts.frames += 1
    counts.bytes &+= UInt64(bytes.byteCount)
    // Packets of several interfaces may not be in order. Time does not go backwards here.
    latest = max(latest, frame.time)
    expire()
    guard let offset = LinkLayer.ipOffset(bytes, link: frame.link), let packet = IPPacket(bytes, at: offset) else {
      counts.otherFrames += 1
      if !LinkLayer.isKnown(frame.link) {
        counts.unknownLinkFrames += 1
        counts.unknownLink = counts.unknownLink ?? frame.link
      }
      return
    }
    let payload = bytes.extracting(packet.payload)
    guard let fragment = packet.fragment else {
      return try decode(packet, payload: payload, time: frame.time, wasCut: false)
    }
    guard packet.transport == IPPacket.Transport.udp || packet.transport == IPPacket.Transport.icmpV6 else {
      counts.otherFrames += 1
      return
    }
    let outcome = ipFragments.insert(packet, fragment: fragment, payload: payload, at: latest)
    if let abandoned = outcome.abandoned { note(abandoned) }
    guard let whole = outcome.payload else { return }
    var joined = packet
    joined.payloadSize = whole.count
    joined.size = whole.count + 20
    try decode(joined, payload: whole.rawBytes, time: frame.time, wasCut: true)
  }

  private mutating func decode(
    _ packet: IPPacket, payload: RawSpan, time: Int64, wasCut: Bool
  ) throws(CaptureError) {
    switch packet.transport {
    case IPPacket.Transport.udp where payload.byteCount >= 8:
      let source = packet.source.withPort(payload.load(UInt16.self, at: 0))
      let destination = packet.destination.withPort(payload.load(UInt16.self, at: 2))
      var size = Int(payload.load(UInt16.self, at: 4))
      // A system that joins datagrams beyond 64 KiB, or leaves the length to its device, writes 0.
      if size == 0 { size = packet.payloadSize }
      guard size >= 8 else {
        counts.otherFrames += 1
        return
      }
      let available = min(size, payload.byteCount)
      try decode(
        payload.extracting(8..<available), size: size - 8, from: source, to: destination, in: packet, time: time,
        wasCut: wasCut)
    case IPPacket.Transport.icmp, IPPacket.Transport.icmpV6:
      guard let error = ICMPError(payload, isIPv6: packet.transport == IPPacket.Transport.icmpV6) else {
        counts.otherFrames += 1
        return
      }
      try decode(error, from: packet, time: time)
    default: counts.otherFrames += 1
    }
  }

  private mutating func decode(
    _ payload: RawSpan, size: Int, from source: Address, to destination: Address, in packet: IPPacket, time: Int64,
    wasCut: Bool
  ) throws(CaptureError) {
    guard let place = flow(from: source, to: destination, payload, size: size) else {
      counts.otherDatagrams += 1
      return
    }
    let isForward = flows[place].first == source
    var event = DatagramEvent(
      frame: counts.frames, time: time, source: source, destination: destination, size: size)
    event.flow = place
    event.fromFirst = isForward
    event.isDontFragment = packet.isDontFragment && !wasCut
    event.wasCutByIP = wasCut
    event.packetSize = packet.size
    if wasCut { report(.cutByIP, in: event, text: "datagrams of ZSSP travel in IP fragments") }
    guard payload.byteCount == size else {
      counts.datagrams += 1
      counts.cutDatagrams += 1
      try readCut(payload, into: &event)
      return
    }
    noteSize(of: event)
    let step = DatagramSplit.segmentSize(payload)
    guard step < size, step > 0 else { return try read(payload, into: &event) }
    event.segmentCount = (size + step - 1) / step
    var start = 0
    while start < size {
      let end = min(size, start + step)
      var part = event
      part.size = end - start
      part.segment = start / step
      try read(payload.extracting(start..<end), into: &part)
      start = end
    }
  }

  /// Returns the place of a datagram's flow, which may be new; nil if the datagram is another
  /// protocol's.
  private mutating func flow(
    from source: Address, to destination: Address, _ payload: RawSpan, size: Int
  ) -> Int? {
    if let known = flows.find(source, to: destination) { return known }
    let isOurs =
      options.ports.contains(source.port) || options.ports.contains(destination.port)
      || options.guesses && guess(payload, from: source, to: destination)
    guard isOurs else { return nil }
    let added = flows.add(source, to: destination)
    if let evicted = added.evicted { finish(evicted) }
    return added.place
  }

  /// Returns true if a datagram is one of ZSSP by its content: a fragment of a Hello, which has the
  /// one size that fits its number, a challenge, a datagram for a key of the key log, or an answer
  /// to a Hello.
  private func guess(_ payload: RawSpan, from source: Address, to destination: Address) -> Bool {
    guard payload.byteCount >= FragmentHeader.smallestDatagram else { return false }
    let keyID = KeyID(payload)
    if keyID != .none {
      return keys?.opens(payload) ?? false || pendingHellos.isAnswer(keyID, to: destination)
    }
    guard let header = FragmentHeader(payload), header.reserved == 0 else { return false }
    switch PacketType(rawValue: header.type) {
    case .hello:
      let range = FragmentPlan(size: PacketSize.hello, count: Int(header.count)).range(Int(header.number))
      return DatagramSplit.segmentSize(payload) == FragmentHeader.size + range.count
    case .challenge:
      return header.count == 1 && payload.byteCount == FragmentHeader.size + PacketSize.challengePacket
    default: return false
    }
  }

  private mutating func read(_ payload: RawSpan, into event: inout DatagramEvent) throws(CaptureError) {
    counts.datagrams += 1
    flows[event.flow].datagrams += 1
    flows[event.flow].bytes &+= UInt64(event.size)
    flows[event.flow].lastFrame = event.frame
    flows[event.flow].lastTime = event.time
    let isRepeated = repeats.isRepeated(payload, salt: event.destination.port)
    var opened: [UInt8] = []
    if payload.byteCount < FragmentHeader.smallestDatagram {
      event.kind = .tooShort
      if payload.byteCount >= KeyID.size { event.keyID = KeyID(payload) }
    } else if KeyID(payload) == .none {
      readStranger(payload, into: &event)
    } else {
      event.keyID = KeyID(payload)
      opened = readProtected(payload, into: &event)
      if event.kind == .protected { event.guess = guess(event) }
      noteProtected(event, isRepeated: isRepeated)
    }
    try output.receive(event, addresses: flows.text(of: event), message: opened.rawBytes)
  }

  /// Reads a datagram that the capture has only in part: its header, if it has no protection.
  private mutating func readCut(_ payload: RawSpan, into event: inout DatagramEvent) throws(CaptureError) {
    event.kind = .malformed
    if payload.byteCount >= FragmentHeader.size {
      event.keyID = KeyID(payload)
      if event.keyID != .none {
        event.kind = .protected
        event.content = .noKey
        noteProtected(event, isRepeated: false)
      } else if let header = FragmentHeader(payload), header.type == PacketType.hello.rawValue {
        event.kind = .hello
        event.header = header
        noteHello(event, header: header, content: nil)
      }
    }
    try output.receive(event, addresses: flows.text(of: event), message: RawSpan())
  }

  private mutating func decode(_ error: ICMPError, from packet: IPPacket, time: Int64) throws(CaptureError) {
    guard let place = flows.find(error.source, to: error.destination) else {
      counts.otherFrames += 1
      return
    }
    var event = DatagramEvent(
      frame: counts.frames, time: time, source: packet.source, destination: packet.destination, size: packet.size)
    event.flow = place
    event.fromFirst = flows[place].first == error.source
    event.kind = .icmp(error)
    note(error, in: event)
    try output.receive(event, addresses: flows.text(of: event), message: RawSpan())
  }

  // MARK: Time

  private mutating func expire() {
    while let abandoned = ipFragments.expire(at: latest) { note(abandoned) }
    while let abandoned = fragments.expire(at: latest) { note(abandoned) }
  }

  /// Reports what is unfinished at the end of the capture.
  private mutating func finish() {
    while let abandoned = ipFragments.removeOldest() { note(abandoned) }
    while let abandoned = fragments.removeOldest() { note(abandoned) }
    for place in flows.flows.indices { finish(flows[place]) }
  }

  private mutating func note(_ abandoned: IPReassembly.Abandoned) {
    guard abandoned.head.count >= 8 else { return }
    let head = abandoned.head.rawBytes
    let source = abandoned.source.withPort(head.load(UInt16.self, at: 0))
    let destination = abandoned.destination.withPort(head.load(UInt16.self, at: 2))
    guard
      flows.find(source, to: destination) != nil || options.ports.contains(source.port)
        || options.ports.contains(destination.port)
    else { return }
    let kind: Trouble.Kind
    let text: String
    switch abandoned.reason {
    case .missing:
      kind = .missingIPFragment
      text = "IP fragments of a datagram never came"
    case .evicted:
      kind = .missingIPFragment
      text = "IP fragments of a datagram did not come before those of \(IPReassembly.largestCount) others"
    case .contradiction:
      kind = .badIPFragments
      text = "IP fragments of a datagram overlap, or do not fit together"
    }
    troubleList.add(kind, from: source, to: destination, frame: counts.frames, at: latest, text: text)
  }
}
