// SPDX-License-Identifier: Apache-2.0
import ZSSP

extension Decoder {
  /// Reads a datagram with key id 0.
  mutating func readStranger(_ payload: RawSpan, into event: inout DatagramEvent) {
    guard let header = FragmentHeader(payload) else { return }
    event.header = header
    let body = payload.extracting(FragmentHeader.size..<payload.byteCount)
    switch PacketType(rawValue: header.type) {
    case .hello:
      event.kind = .hello
      readHello(body, header: header, into: &event)
    case .challenge where header.count == 1 && body.byteCount == PacketSize.challengePacket:
      event.kind = .challenge
      let keyID = KeyID(body)
      let challenge = ChallengeResponse(body.extracting(KeyID.size..<body.byteCount))
      event.content = .challenge(keyID: keyID, counter: challenge.counter)
      if options.collectsFields { event.fields = headerFields(header) + Self.fields(ofChallenge: body) }
      noteChallenge(event, for: keyID)
    default:
      if options.collectsFields { event.fields = headerFields(header) }
    }
  }

  private mutating func readHello(_ body: RawSpan, header: FragmentHeader, into event: inout DatagramEvent) {
    if options.collectsFields { event.fields = headerFields(header) }
    guard let whole = join(body, header: header, of: event, keyID: .none) else {
      return noteHello(event, header: header, content: nil)
    }
    let packet = whole.rawBytes
    guard packet.byteCount == PacketSize.hello else { return noteHello(event, header: header, content: nil) }
    let keyID = KeyID(packet)
    let response = ChallengeResponse(
      packet.extracting(packet.byteCount - PacketSize.challenge..<packet.byteCount))
    // The first Hello has zeros here (section 8).
    let isAnswer = response.counter != 0 || response.with(proof: 0).bytes.contains { $0 != 0 }
    event.content = .hello(keyID: keyID, answersChallenge: isAnswer)
    if options.collectsFields {
      event.fields += Self.fields(ofHello: packet)
      if let read = keys?.readHello(packet, keyID: keyID) {
        event.fields.append(Field("ratchet_fingerprint_1", .bytes(read.first), section: 6))
        event.fields.append(Field("ratchet_fingerprint_2", .bytes(read.second), section: 6))
      }
    }
    noteHello(event, header: header, content: (keyID, isAnswer))
  }

  /// Returns the whole packet when its last fragment has come.
  mutating func join(
    _ body: RawSpan, header: FragmentHeader, of event: borrowing DatagramEvent, keyID: KeyID
  ) -> [UInt8]? {
    if header.count == 1 { return body.array }
    let key = FragmentStore.Key(
      source: event.source, destination: event.destination, keyID: keyID.value, type: header.type,
      reserved: header.reserved, counter: header.counter)
    while fragments.isFull, let abandoned = fragments.removeOldest() { note(abandoned) }
    let result = fragments.insert(
      key, number: Int(header.number), count: Int(header.count), payload: body, frame: event.frame, at: latest)
    if case .complete(let bytes) = result { return bytes }
    return nil
  }

  // MARK: Fields

  func headerFields(_ header: FragmentHeader) -> [Field] {
    [
      Field("key_id", .text(header.keyID.text), section: 5),
      Field("fragment_number", .number(UInt64(header.number)), section: 5),
      Field("fragment_count", .number(UInt64(header.count)), section: 5),
      Field("reserved", .number(UInt64(header.reserved)), section: 4),
      Field("type", .number(UInt64(header.type)), section: 4),
      Field("counter", .text("\(header.counter)"), section: 4),
    ]
  }

  private static func fields(ofHello packet: RawSpan) -> [Field] {
    let response = packet.byteCount - PacketSize.challenge
    return [
      Field("initiator_key_id", .text(KeyID(packet).text), section: 6),
      Field("ephemeral_key", .bytes(packet.extracting(4..<4 + PublicKey.size).array), section: 6),
      Field("challenge_counter", .text("\(packet.load(UInt64.self, at: response))"), section: 8),
      Field("challenge_mac", .bytes(packet.extracting(response + 8..<response + 24).array), section: 8),
      Field("proof_of_work", .text("\(packet.load(UInt64.self, at: response + 24))"), section: 8),
    ]
  }

  private static func fields(ofChallenge body: RawSpan) -> [Field] {
    [
      Field("initiator_key_id", .text(KeyID(body).text), section: 8),
      Field("challenge_counter", .text("\(body.load(UInt64.self, at: 4))"), section: 8),
      Field("challenge_mac", .bytes(body.extracting(12..<28).array), section: 8),
      Field("proof_of_work", .text("\(body.load(UInt64.self, at: 28))"), section: 8),
    ]
  }
}

extension KeyID {
  /// Eight hexadecimal digits.
  package var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}
