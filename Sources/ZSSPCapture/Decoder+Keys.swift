// SPDX-License-Identifier: Apache-2.0
import ZSSP

extension Decoder {
  /// Reads a datagram with a key id of at least 32 bytes.
  ///
  /// - Returns: the message, if it is data that was opened; otherwise nothing.
  mutating func readProtected(_ payload: RawSpan, into event: inout DatagramEvent) -> [UInt8] {
    event.kind = .protected
    guard let opened = keys?.open(payload) else { return [] }
    let header = opened.header
    event.kind = .opened
    event.header = header
    if options.collectsFields { event.fields = headerFields(header) }
    let bytes = opened.bytes
    let body = bytes.rawBytes.extracting(FragmentHeader.size..<bytes.count)
    guard let packet = join(body, header: header, of: event, keyID: event.keyID), packet.count >= PacketSize.tag else {
      return []
    }
    switch PacketType(rawValue: header.type) {
    case .response: readResponse(packet, key: opened.key, into: &event)
    case .completion: readCompletion(packet, key: opened.key, into: &event)
    case .data: return readData(packet, key: opened.key, into: &event)
    default: readControl(packet, key: opened.key, into: &event)
    }
    return []
  }

  private mutating func readResponse(_ packet: [UInt8], key: ReceivingKey, into event: inout DatagramEvent) {
    event.content = .response(keyID: nil)
    guard packet.count == PacketSize.response else { return }
    let bytes = packet.rawBytes
    if options.collectsFields {
      event.fields.append(Field("ephemeral_key", .bytes(bytes.extracting(0..<PublicKey.size).array), section: 6))
    }
    guard let sealed = key.response, let keys else { return }
    let end = packet.count - KeyID.size - PacketSize.tag
    let nonce = Nonce(type: PacketType.response.rawValue, counter: 0)
    guard let plain = keys.open(bytes.extracting(end..<packet.count), nonce: nonce, key: sealed) else {
      return markForged(&event)
    }
    let keyID = KeyID(plain.rawBytes)
    event.content = .response(keyID: keyID)
    if options.collectsFields { event.fields.append(Field("responder_key_id", .text(keyID.text), section: 6)) }
  }

  private mutating func readCompletion(_ packet: [UInt8], key: ReceivingKey, into event: inout DatagramEvent) {
    event.content = .completion(identitySize: nil)
    guard packet.count >= PacketSize.completionWithoutIdentity else { return }
    guard let sealed = key.completion, let keys else { return }
    let bytes = packet.rawBytes
    let end = PublicKey.size + PacketSize.tag
    let type = PacketType.completion.rawValue
    guard
      let staticKey = keys.open(bytes.extracting(0..<end), nonce: Nonce(type: type, counter: 1), key: sealed.staticKey),
      let identity = keys.open(
        bytes.extracting(end..<packet.count), nonce: Nonce(type: type, counter: 0), key: sealed.identity)
    else { return markForged(&event) }
    event.content = .completion(identitySize: identity.count)
    guard options.collectsFields else { return }
    event.fields.append(Field("initiator_static_key", .bytes(staticKey), section: 6))
    event.fields.append(Field("identity", .bytes(identity), section: 6))
  }

  private mutating func readControl(_ packet: [UInt8], key: ReceivingKey, into event: inout DatagramEvent) {
    guard let header = event.header else { return }
    event.content = .noKey
    guard let exchange = key.exchange else { return }
    var bytes = packet
    let isAuthentic = bytes.withMutableBytes {
      exchange.open(&$0, nonce: header.nonce, authenticating: RawSpan())
    }
    guard isAuthentic else { return markForged(&event) }
    event.content = .control
    if options.collectsFields, packet.count == PacketSize.rekey {
      event.fields.append(Field("ephemeral_key", .bytes(Array(bytes[..<PublicKey.size])), section: 7))
    }
    markReceived(key, header: header, into: &event)
    if event.content == .control { noteControl(event, header: header) }
  }

  private mutating func readData(_ packet: [UInt8], key: ReceivingKey, into event: inout DatagramEvent) -> [UInt8] {
    guard let header = event.header else { return [] }
    event.content = .noKey
    guard let transport = key.transport else { return [] }
    var bytes = packet
    let isAuthentic = bytes.withMutableBytes {
      transport.open(&$0, nonce: header.nonce, authenticating: RawSpan())
    }
    guard isAuthentic else {
      markForged(&event)
      return []
    }
    bytes.removeLast(PacketSize.tag)
    let version = bytes.first.map { $0 >> 4 } ?? 0
    let inner = (version == 4 || version == 6) && IPPacket(bytes.rawBytes, at: 0)?.size == bytes.count
    event.content = .data(size: bytes.count, inner: inner ? version : 0)
    if options.collectsFields {
      event.fields.append(Field("message_size", .number(UInt64(bytes.count)), section: 6))
      if inner { event.fields.append(Field("inner_ip_version", .number(UInt64(version)), section: 6)) }
    }
    markReceived(key, header: header, into: &event)
    return event.content == .replay ? [] : bytes
  }

  private mutating func markReceived(
    _ key: ReceivingKey, header: FragmentHeader, into event: inout DatagramEvent
  ) {
    guard !key.received.insert(header.counter) else { return }
    event.content = .replay
    report(.replay, in: event, text: "a packet of type \(header.type) with counter \(header.counter) came again")
  }

  private mutating func markForged(_ event: inout DatagramEvent) {
    event.content = .notAuthentic
    report(.notAuthentic, in: event, text: "the tag of a packet of type \(event.header?.type ?? 0) is wrong")
  }
}
