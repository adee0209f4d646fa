// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// Writes a JSON object for each datagram, trouble and summary, each on a line.
package final class JSONOutput: DecoderOutput {
  private var buffer: LineBuffer

  /// Creates an output.
  package init(_ sink: any OutputSink) { buffer = LineBuffer(sink) }

  package func receive(
    _ event: borrowing DatagramEvent, addresses: [UInt8], message: RawSpan
  ) throws(CaptureError) {
    buffer.append("{\"event\":\"")
    buffer.append(Self.name(event))
    buffer.append("\",\"frame\":")
    buffer.append(event.frame)
    append(time: event.time, name: ",\"time\":")
    append(name: ",\"source\":", event.source)
    append(name: ",\"destination\":", event.destination)
    buffer.append(",\"size\":")
    buffer.append(event.size)
    buffer.append(",\"ip_size\":")
    buffer.append(event.packetSize)
    if case .icmp(let error) = event.kind {
      append(error)
    } else {
      append(event)
    }
    buffer.append("}")
    try buffer.endLine()
  }

  private func append(_ event: borrowing DatagramEvent) {
    if event.isDontFragment { buffer.append(",\"dont_fragment\":true") }
    if event.wasCutByIP { buffer.append(",\"ip_fragments\":true") }
    if event.segmentCount > 1 {
      buffer.append(",\"joined\":")
      buffer.append(event.segmentCount)
    }
    if let guess = event.guess {
      buffer.append(",\"guess\":")
      buffer.append(json: "\(guess)")
    }
    if let result = Self.result(event.content) {
      buffer.append(",\"result\":\"")
      buffer.append(result)
      buffer.append("\"")
    }
    buffer.append(",\"fields\":{")
    if event.fields.isEmpty, event.keyID != .none {
      buffer.append("\"key_id\":")
      buffer.append(json: event.keyID.text)
    }
    var isFirst = true
    for field in event.fields {
      if !isFirst { buffer.append(",") }
      isFirst = false
      buffer.append(json: field.name)
      buffer.append(":")
      switch field.value {
      case .number(let number): buffer.append(number)
      case .bytes(let bytes):
        buffer.append("\"")
        buffer.append(hexadecimal: bytes)
        buffer.append("\"")
      case .text(let text): buffer.append(json: text)
      }
    }
    buffer.append("}")
  }

  private func append(_ error: ICMPError) {
    append(name: ",\"about_source\":", error.source)
    append(name: ",\"about_destination\":", error.destination)
    buffer.append(",\"problem\":\"")
    switch error.problem {
    case .tooBig(let mtu):
      buffer.append("too_big\",\"mtu\":")
      return buffer.append(mtu)
    case .portUnreachable: buffer.append("port_unreachable")
    case .prohibited: buffer.append("prohibited")
    case .unreachable: buffer.append("unreachable")
    }
    buffer.append("\"")
  }

  private func append(name: StaticString, _ address: Address) {
    buffer.append(name)
    buffer.append(json: "\(address)")
  }

  /// Appends seconds since 1970 with nine digits behind the point.
  private func append(time: Int64, name: StaticString) {
    buffer.append(name)
    if time < 0 { buffer.append("-") }
    buffer.append(time.magnitude / 1_000_000_000)
    buffer.append(".")
    buffer.append(time.magnitude % 1_000_000_000, width: 9)
  }

  private static func name(_ event: borrowing DatagramEvent) -> StaticString {
    switch event.kind {
    case .tooShort: return "too_short"
    case .malformed: return "malformed"
    case .hello: return "hello"
    case .challenge: return "challenge"
    case .protected: return "protected"
    case .icmp: return "icmp"
    case .opened:
      switch event.header.flatMap({ PacketType(rawValue: $0.type) }) {
      case .hello, .challenge, nil: return "malformed"
      case .response: return "response"
      case .completion: return "completion"
      case .keyConfirm: return "key_confirm"
      case .acknowledge: return "acknowledge"
      case .rekeyInit: return "rekey_init"
      case .rekeyComplete: return "rekey_complete"
      case .rejected: return "rejected"
      case .data: return "data"
      }
    }
  }

  private static func result(_ content: DatagramEvent.Content) -> StaticString? {
    switch content {
    case .none: nil
    case .notAuthentic: "not_authentic"
    case .replay: "replay"
    case .noKey, .response(nil), .completion(nil): "no_key"
    case .hello, .challenge, .response, .completion, .control, .data: "read"
    }
  }

  /// Writes the troubles, and what was read.
  package func summarize(_ decoder: borrowing Decoder) throws(CaptureError) {
    for trouble in decoder.troubles {
      buffer.append("{\"event\":\"trouble\",\"kind\":\"")
      buffer.append(text: trouble.kind.rawValue)
      buffer.append("\",\"frame\":")
      buffer.append(trouble.firstFrame)
      append(time: trouble.firstTime, name: ",\"time\":")
      append(time: trouble.lastTime, name: ",\"last_time\":")
      append(name: ",\"source\":", trouble.source)
      append(name: ",\"destination\":", trouble.destination)
      buffer.append(",\"count\":")
      buffer.append(trouble.count)
      buffer.append(",\"text\":")
      buffer.append(json: trouble.text)
      buffer.append(",\"advice\":")
      buffer.append(json: trouble.advice)
      buffer.append("}")
      try buffer.endLine()
    }
    let counts = decoder.counts
    buffer.append("{\"event\":\"summary\",\"frames\":")
    buffer.append(counts.frames)
    buffer.append(",\"bytes\":")
    buffer.append(counts.bytes)
    buffer.append(",\"datagrams\":")
    buffer.append(counts.datagrams)
    buffer.append(",\"cut_datagrams\":")
    buffer.append(counts.cutDatagrams)
    buffer.append(",\"other_datagrams\":")
    buffer.append(counts.otherDatagrams)
    buffer.append(",\"other_frames\":")
    buffer.append(counts.otherFrames)
    if let link = counts.unknownLink {
      buffer.append(",\"unknown_link_frames\":")
      buffer.append(counts.unknownLinkFrames)
      buffer.append(",\"unknown_link\":")
      buffer.append(link)
    }
    buffer.append(",\"omitted_troubles\":")
    buffer.append(decoder.omittedTroubles)
    buffer.append("}")
    try buffer.endLine()
    try buffer.flush()
  }
}
