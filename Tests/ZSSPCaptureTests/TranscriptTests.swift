// SPDX-License-Identifier: Apache-2.0
import Testing
import ZSSP
import ZSSPSwiftCrypto
import ZSSPTestSupport

@testable import ZSSPCapture

@Suite(.tags(.fast)) struct TranscriptTests {
  private func script(_ transcript: Transcript) -> Script {
    var script = Script()
    var last: Int64 = 0
    for packet in transcript.packets {
      let isAlice = packet.from == .alice
      script.send(
        packet.hex.bytes, from: isAlice ? Packets.client : Packets.server,
        to: isAlice ? Packets.server : Packets.client,
        after: packet.t - last)
      last = packet.t
    }
    return script
  }

  /// A key log with the keys that a reference model tells. The key ids are those of the packets, in
  /// their order.
  private func keyLog(_ transcript: Transcript) throws -> [String] {
    func keyIDs(from side: Side) -> [String] {
      var ids: [String] = []
      for packet in transcript.packets where packet.from == side && packet.type > 0 && packet.type < 9 {
        let id = packet.hex.bytes.prefix(4).hexadecimal
        if !ids.contains(id) { ids.append(id) }
      }
      return ids
    }
    let toAlice = keyIDs(from: .bob)
    let toBob = keyIDs(from: .alice)
    return try #require(transcript.handshakes).enumerated().map { index, handshake in
      let keys = (handshake.headerKeyTo + handshake.kekTo + handshake.nkTo).map(\.bytes.hexadecimal)
      return (["ZSSP1", "SESSION", "initiator", toAlice[index], toBob[index]] + keys).joined(separator: " ")
    }
  }

  @Test("without keys: what can be seen of a challenged handshake")
  func challenge() throws {
    let lines = try script(Transcript.load("challenge")).text()
    let expected = """
      22:13:20.000000 192.0.2.1:40000 > 198.51.100.7:20763: X1 Hello 1/2, 891 bytes
      22:13:20.000000 192.0.2.1:40000 > 198.51.100.7:20763: X1 Hello 2/2, key id of the initiator 99704395, 890 bytes
      22:13:20.000000 198.51.100.7:20763 > 192.0.2.1:40000: Challenge, for key id 99704395, challenge 0, 52 bytes
      22:13:21.000000 192.0.2.1:40000 > 198.51.100.7:20763: X1 Hello 1/2, 891 bytes
      22:13:21.000000 192.0.2.1:40000 > 198.51.100.7:20763: X1 Hello 2/2, key id of the initiator 99704395, answers a challenge, 890 bytes
      22:13:21.000000 198.51.100.7:20763 > 192.0.2.1:40000: key id 99704395, X2 Response?, 843 bytes
      22:13:21.000000 198.51.100.7:20763 > 192.0.2.1:40000: key id 99704395, X2 Response?, 842 bytes
      22:13:21.000000 192.0.2.1:40000 > 198.51.100.7:20763: key id 23cf01be, 114 bytes
      22:13:21.000000 198.51.100.7:20763 > 192.0.2.1:40000: key id 99704395, C1, C2, D or empty data, 32 bytes
      22:13:21.000000 192.0.2.1:40000 > 198.51.100.7:20763: key id 23cf01be, C1, C2, D or empty data, 32 bytes
      10 datagrams of ZSSP in 10 frames; 0 other UDP datagrams, 0 other frames

      """
    #expect(lines == expected)
  }

  @Test("with keys: a session with data in several fragments and two re-keys", arguments: Profile.allCases)
  func session(profile: Profile) throws {
    let transcript = try Transcript.load("oracle_\(profile.rawValue)")
    let ring = KeyRing(provider: SwiftCryptoProvider())
    for line in try keyLog(transcript) { try ring.add(line: line[...]) }
    let found = try script(transcript).decode(keys: ring)
    #expect(found.troubles.isEmpty)
    for (event, packet) in zip(found.recorder.events, transcript.packets) {
      #expect(event.header?.type == packet.type)
      switch PacketType(rawValue: packet.type) {
      case .keyConfirm, .acknowledge, .rekeyInit, .rekeyComplete: #expect(event.content == .control)
      default: break
      }
    }
    // The messages are those that were sent.
    let sent = transcript.packets.indices.compactMap { transcript.message(inPacket: $0) }
    var expected: [[UInt8]] = []
    for message in sent where expected.last != message { expected.append(message) }
    #expect(found.recorder.messages == expected.filter { !$0.isEmpty })
  }

  @Test("with keys: lines of a session")
  func lines() throws {
    let transcript = try Transcript.load("oracle_kyber1024")
    let ring = KeyRing(provider: SwiftCryptoProvider())
    for line in try keyLog(transcript) { try ring.add(line: line[...]) }
    let lines = try script(transcript).text(keys: ring).split(separator: "\n").map(String.init)
    #expect(lines.count == 25)
    for (index, part) in [
      (2, "198.51.100.7:20763 > 192.0.2.1:40000: X2 Response 1/2, key id a78cb3fe, counter "),
      (4, "192.0.2.1:40000 > 198.51.100.7:20763: X3 Completion, key id 68510ff2, counter 0, 114 bytes"),
      (5, "C1 KeyConfirm, key id a78cb3fe, counter 0, 32 bytes"),
      (6, "C2 Ack, key id 68510ff2, counter 0, 32 bytes"),
      (7, "P Data, key id 68510ff2, counter 1, message of 16 bytes, 48 bytes"),
      (9, "K1 RekeyInit, key id 68510ff2, counter 2, 101 bytes"),
      (14, "P Data 1/4, key id 1ad588f1, counter 4, 1270 bytes"),
      (17, "P Data 4/4, key id 1ad588f1, counter 4, message of 5000 bytes, 1270 bytes"),
      (24, "24 datagrams of ZSSP in 24 frames; 0 other UDP datagrams, 0 other frames"),
    ] { #expect(lines[index].contains(part), "\(lines[index])") }
  }

  @Test("with keys: forged and repeated packets, and fragments that never come")
  func attacks() throws {
    let transcript = try Transcript.load("oracle_kyber1024")
    let ring = KeyRing(provider: SwiftCryptoProvider())
    for line in try keyLog(transcript) { try ring.add(line: line[...]) }
    var script = script(transcript)
    let packets = transcript.packets.map(\.hex.bytes)
    // Data of Alice again, and changed in its last byte.
    script.send(packets[7])
    var forged = packets[13]
    forged[forged.count - 1] ^= 1
    script.send(forged)
    // A repeated fragment of a packet that was complete: it waits for the three others.
    script.send(packets[15], from: Packets.server, to: Packets.client)
    let found = try script.decode(keys: ring)
    #expect(found.troubles.map(\.kind) == [.replay, .notAuthentic, .repeated, .missingFragment])
    #expect(found.recorder.events.suffix(3).map(\.content) == [.replay, .notAuthentic, .none])
  }

  @Test("with keys: a re-key that gets no answer")
  func rekey() throws {
    let transcript = try Transcript.load("oracle_kyber1024")
    let ring = KeyRing(provider: SwiftCryptoProvider())
    for line in try keyLog(transcript) { try ring.add(line: line[...]) }
    // The record is about authentic packets, so K1 is sealed again with new counters.
    let handshake = try #require(transcript.handshakes?.first)
    let provider = SwiftCryptoProvider()
    let exchangeBytes = handshake.kekTo[1].bytes
    let exchange = provider.packetKey(Secret(copying: exchangeBytes.rawBytes))
    let headerBytes = handshake.headerKeyTo[1].bytes
    let headerKey = provider.headerKey(Secret(copying: headerBytes.rawBytes))
    let completion = transcript.packets[4].hex.bytes
    let keyID = KeyID(completion.rawBytes)
    var script = Script()
    for counter in 10..<14 as Range<UInt64> {
      var datagram = [UInt8](repeating: 0, count: 16 + PacketSize.rekey)
      let header = FragmentHeader(
        keyID: keyID, number: 0, count: 1, type: .rekeyInit, counter: counter)
      datagram.withMutableBytes { bytes in
        header.write(to: &bytes)
        var body = bytes.slice(16..<bytes.byteCount)
        exchange.seal(
          [UInt8](repeating: 1, count: 69).rawBytes, nonce: header.nonce, authenticating: RawSpan(), into: &body)
      }
      datagram.withMutableBytes { bytes in
        var block = bytes.slice(FragmentHeader.protectedBytes)
        headerKey.encrypt(&block)
      }
      script.send(datagram, after: 1000)
    }
    let troubles = try script.decode(keys: ring).troubles
    #expect(troubles.map(\.kind) == [.rekeyFails])
    #expect(troubles.first?.text == "K1 is repeated, and no K2 comes")
  }

  @Test("all fields have their section")
  func fields() throws {
    let text = try script(Transcript.load("challenge")).text(verbose: true)
    for part in [
      "2023-11-14 22:13:20.000000 192.0.2.1:40000", "    frame 1, IP packet of 919 bytes, must not be cut",
      "    key_id: 00000000 (section 5)", "    fragment_count: 2 (section 5)", "    type: 0 (section 4)",
      "    initiator_key_id: 99704395 (section 6)", "    challenge_mac: f67eefb1a8022bec61701992d6abd0e7 (section 8)",
    ] { #expect(text.contains(part)) }
  }

  @Test("JSON has an object for each datagram, trouble and the summary")
  func json() throws {
    var script = try script(Transcript.load("challenge"))
    script.send([1, 2, 3])
    let sink = MemorySink()
    let output = JSONOutput(sink)
    var options = DecoderOptions()
    options.collectsFields = true
    var decoder = Decoder(options, output: output)
    try decoder.run(MemorySource(script.capture))
    try output.summarize(decoder)
    let lines = sink.text.split(separator: "\n")
    #expect(lines.count == 12)
    #expect(
      lines.first
        == "{\"event\":\"hello\",\"frame\":1,\"time\":1700000000.000000000,\"source\":\"192.0.2.1:40000\","
        + "\"destination\":\"198.51.100.7:20763\",\"size\":891,\"ip_size\":919,\"dont_fragment\":true,\"fields\":{"
        + "\"key_id\":\"00000000\",\"fragment_number\":0,\"fragment_count\":2,\"reserved\":0,\"type\":0,"
        + "\"counter\":\"\(try counter(of: Transcript.load("challenge")))\"}}")
    #expect(lines.last?.hasPrefix("{\"event\":\"summary\",\"frames\":11,") == true)
    #expect(lines[10].contains("\"event\":\"too_short\""))
  }

  private func counter(of transcript: Transcript) throws -> UInt64 {
    let first = transcript.packets[0].hex.bytes
    let header = FragmentHeader(first.rawBytes)
    return try #require(header).counter
  }
}

extension Collection<UInt8> {
  /// Hexadecimal digits.
  var hexadecimal: String { map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
}
