// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Writes a line for each datagram, as tcpdump does, and with `verbose` one for each field.
package final class TextOutput: DecoderOutput {
  private var buffer: LineBuffer
  private let verbose: Bool

  /// Creates an output.
  package init(_ sink: any OutputSink, verbose: Bool = false) {
    buffer = LineBuffer(sink)
    self.verbose = verbose
  }

  package func receive(
    _ event: borrowing DatagramEvent, addresses: [UInt8], message: RawSpan
  ) throws(CaptureError) {
    // All appends to a line share one access to the buffer, which Swift checks.
    try Self.append(event, addresses: addresses, verbose: verbose, to: &buffer)
  }

  private static func append(
    _ event: borrowing DatagramEvent, addresses: [UInt8], verbose: Bool, to buffer: inout LineBuffer
  ) throws(CaptureError) {
    let time = CivilTime(event.time)
    if verbose { appendDate(time, to: &buffer) }
    append(time, to: &buffer)
    if case .icmp(let error) = event.kind {
      appendICMP(error, in: event, about: addresses, to: &buffer)
      return try buffer.endLine()
    }
    buffer.append(UInt8(ascii: " "))
    buffer.append(addresses)
    buffer.append(": ")
    appendKind(event, to: &buffer)
    buffer.append(", ")
    buffer.append(event.size)
    buffer.append(event.size == 1 ? " byte" : " bytes")
    appendMarks(event, to: &buffer)
    try buffer.endLine()
    if verbose { try appendDetails(event, to: &buffer) }
  }

  /// Writes the lines that were collected.
  package func flush() throws(CaptureError) { try buffer.flush() }

  // MARK: A line

  private static func append(_ time: CivilTime, to buffer: inout LineBuffer) {
    let second = UInt64(time.secondOfDay)
    buffer.append(second / 3600, width: 2)
    buffer.append(UInt8(ascii: ":"))
    buffer.append(second / 60 % 60, width: 2)
    buffer.append(UInt8(ascii: ":"))
    buffer.append(second % 60, width: 2)
    buffer.append(UInt8(ascii: "."))
    buffer.append(time.nanoseconds / 1000, width: 6)
  }

  private static func appendDate(_ time: CivilTime, to buffer: inout LineBuffer) {
    let date = time.date
    buffer.append(Int(date.year))
    buffer.append(UInt8(ascii: "-"))
    buffer.append(date.month, width: 2)
    buffer.append(UInt8(ascii: "-"))
    buffer.append(date.day, width: 2)
    buffer.append(UInt8(ascii: " "))
  }

  private static func appendKind(_ event: borrowing DatagramEvent, to buffer: inout LineBuffer) {
    switch event.kind {
    case .tooShort: buffer.append("too short, dropped by every receiver")
    case .malformed: buffer.append("key id 0 and no header of ZSSP")
    case .hello, .challenge, .opened: appendPacket(event, to: &buffer)
    case .protected:
      buffer.append("key id ")
      buffer.append(event.keyID)
      if let guess = event.guess {
        buffer.append(", ")
        buffer.append(guess)
      }
    case .icmp: break
    }
  }

  private static func appendPacket(_ event: borrowing DatagramEvent, to buffer: inout LineBuffer) {
    guard let header = event.header else { return }
    if let type = PacketType(rawValue: header.type) {
      buffer.append(type.name)
    } else {
      buffer.append("type ")
      buffer.append(UInt64(header.type))
    }
    if header.count > 1 {
      buffer.append(UInt8(ascii: " "))
      buffer.append(UInt64(header.number) + 1)
      buffer.append(UInt8(ascii: "/"))
      buffer.append(UInt64(header.count))
    }
    if event.kind == .opened {
      buffer.append(", key id ")
      buffer.append(event.keyID)
      buffer.append(", counter ")
      buffer.append(header.counter)
    }
    appendContent(event.content, to: &buffer)
  }

  private static func appendContent(_ content: DatagramEvent.Content, to buffer: inout LineBuffer) {
    switch content {
    case .none, .control: break
    case .hello(let keyID, let answersChallenge):
      buffer.append(", key id of the initiator ")
      buffer.append(keyID)
      if answersChallenge { buffer.append(", answers a challenge") }
    case .challenge(let keyID, let counter):
      buffer.append(", for key id ")
      buffer.append(keyID)
      buffer.append(", challenge ")
      buffer.append(counter)
    case .response(let keyID):
      guard let keyID else { return }
      buffer.append(", key id of the responder ")
      buffer.append(keyID)
    case .completion(let size):
      guard let size else { return }
      buffer.append(", identity of ")
      buffer.append(size)
      buffer.append(" bytes")
    case .data(let size, let inner):
      buffer.append(", message of ")
      buffer.append(size)
      buffer.append(" bytes")
      if inner == 4 { buffer.append(", an IPv4 packet") }
      if inner == 6 { buffer.append(", an IPv6 packet") }
    case .notAuthentic: buffer.append(", NOT AUTHENTIC")
    case .replay: buffer.append(", REPLAY")
    case .noKey: buffer.append(", content not readable")
    }
  }

  private static func appendMarks(_ event: borrowing DatagramEvent, to buffer: inout LineBuffer) {
    if event.segmentCount > 1 {
      buffer.append(", joined ")
      buffer.append(event.segment + 1)
      buffer.append(UInt8(ascii: "/"))
      buffer.append(event.segmentCount)
    }
    if event.wasCutByIP { buffer.append(", in IP fragments") }
  }

  private static func appendICMP(
    _ error: ICMPError, in event: borrowing DatagramEvent, about addresses: [UInt8], to buffer: inout LineBuffer
  ) {
    buffer.append(UInt8(ascii: " "))
    buffer.append(text: event.source.host)
    buffer.append(": ICMP about ")
    buffer.append(addresses)
    switch error.problem {
    case .tooBig(let mtu):
      buffer.append(": too big, the path takes ")
      buffer.append(mtu)
      buffer.append(" bytes")
    case .portUnreachable: buffer.append(": port unreachable")
    case .prohibited: buffer.append(": prohibited")
    case .unreachable: buffer.append(": unreachable")
    }
  }

  // MARK: Fields

  private static func appendDetails(
    _ event: borrowing DatagramEvent, to buffer: inout LineBuffer
  ) throws(CaptureError) {
    buffer.append("    frame ")
    buffer.append(event.frame)
    buffer.append(", IP packet of ")
    buffer.append(event.packetSize)
    buffer.append(event.isDontFragment ? " bytes, must not be cut" : " bytes, may be cut")
    try buffer.endLine()
    for field in event.fields {
      buffer.append("    ")
      buffer.append(text: field.name)
      buffer.append(": ")
      switch field.value {
      case .number(let number): buffer.append(number)
      case .bytes(let bytes): buffer.append(hexadecimal: bytes)
      case .text(let text): buffer.append(text: text)
      }
      buffer.append(" (section ")
      buffer.append(field.section)
      buffer.append(")")
      try buffer.endLine()
    }
  }

  // MARK: Summary

  /// Writes the troubles, and what was read.
  package func summarize(_ decoder: borrowing Decoder) throws(CaptureError) {
    for trouble in decoder.troubles {
      buffer.append("! ")
      buffer.append(text: "\(trouble.source) > \(trouble.destination): \(trouble.text)")
      buffer.append(" (frame ")
      buffer.append(trouble.firstFrame)
      if trouble.count > 1 {
        buffer.append(", ")
        buffer.append(trouble.count)
        buffer.append(" times")
      }
      buffer.append(")")
      try buffer.endLine()
      buffer.append("    ")
      buffer.append(text: trouble.advice)
      try buffer.endLine()
    }
    if decoder.omittedTroubles > 0 {
      buffer.append("! more troubles, which are not shown: ")
      buffer.append(decoder.omittedTroubles)
      try buffer.endLine()
    }
    let counts = decoder.counts
    buffer.append(counts.datagrams)
    buffer.append(" datagrams of ZSSP in ")
    buffer.append(counts.frames)
    buffer.append(" frames; ")
    buffer.append(counts.otherDatagrams)
    buffer.append(" other UDP datagrams, ")
    buffer.append(counts.otherFrames)
    buffer.append(" other frames")
    if counts.cutDatagrams > 0 {
      buffer.append("; cut by the capture (see its snap length): ")
      buffer.append(counts.cutDatagrams)
    }
    if let link = counts.unknownLink {
      buffer.append("; of links that are not known: ")
      buffer.append(counts.unknownLinkFrames)
      buffer.append(" (link type ")
      buffer.append(link)
      buffer.append(")")
    }
    try buffer.endLine()
    try buffer.flush()
  }
}
