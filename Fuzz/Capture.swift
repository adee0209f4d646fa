// SPDX-License-Identifier: Apache-2.0
import ZSSP
import ZSSPSimulator

@testable import ZSSPCapture

/// Captures: as they are, or built of frames with right headers, so that the deeper parts are
/// reached; with and without keys. One byte chooses.
func fuzz(_ input: inout FuzzInput) {
  let choice = input.byte()
  var options = DecoderOptions()
  options.collectsFields = choice & 1 != 0
  options.flows = 4
  options.troubles = 4
  options.repeats = 64
  let ring = choice & 2 != 0 ? KeyRing(provider: StandInCrypto()) : nil
  if let ring { addKeys(to: ring, &input) }
  let pieceSize = choice & 4 != 0 ? 1 + input.below(64) : .max
  let capture = choice & 8 != 0 ? input.rest() : madeCapture(&input, link: links[input.below(links.count)])

  let sink = MemorySink()
  let text: any DecoderOutput = choice & 16 != 0 ? JSONOutput(sink) : TextOutput(sink, verbose: options.collectsFields)
  let inner = MemorySink()
  let witness = Witness(InnerPackets(inner, then: text))
  var decoder = Decoder(options, keys: ring, output: witness)
  do { try decoder.run(MemorySource(capture, pieceSize: pieceSize)) } catch {
    expect(!error.description.isEmpty, "an error says what is wrong")
  }
  do { try witness.summarize(decoder) } catch { expect(false, "memory can be written") }
  expect(decoder.troubles.count <= options.troubles, "\(decoder.troubles.count) troubles")
  expect(decoder.flows.flows.count <= options.flows, "\(decoder.flows.flows.count) flows")
  expect(decoder.counts.datagrams >= witness.datagrams, "every datagram is counted")
  expect(witness.datagrams == decoder.counts.datagrams, "every datagram is shown")
  for trouble in decoder.troubles {
    expect(!trouble.advice.isEmpty && !trouble.text.isEmpty, "a trouble says what to do")
  }
  expect(sink.text.utf8.elementsEqual(sink.bytes), "the output is text")
  checkInner(inner.bytes)
}

private let links = [0, 1, 101, 108, 113, 276]

/// Counts what it passes on.
private final class Witness: DecoderOutput {
  private let next: InnerPackets
  var datagrams: UInt64 = 0

  init(_ next: InnerPackets) { self.next = next }

  func receive(
    _ event: borrowing DatagramEvent, addresses: [UInt8], message: RawSpan
  ) throws(CaptureError) {
    if case .icmp = event.kind {} else { datagrams += 1 }
    expect(event.header.map { $0.number < $0.count } ?? true, "a fragment's number is below the count")
    try next.receive(event, addresses: addresses, message: message)
  }

  func summarize(_ decoder: borrowing Decoder) throws(CaptureError) { try next.summarize(decoder) }
}

/// Checks that the capture of inner packets can be read.
private func checkInner(_ bytes: [UInt8]) {
  var reader = CaptureReader(MemorySource(bytes))
  do {
    while let frame = try reader.next() { expect(frame.captured == frame.original, "an inner packet is whole") }
  } catch {
    expect(false, "inner packets are a capture: \(error)")
  }
}

private let keyIDs: [UInt32] = [1, 2]

/// A line with keys of one repeated byte, and one that the fuzzer writes.
private func addKeys(to ring: KeyRing, _ input: inout FuzzInput) {
  let keys = Array(repeating: String(repeating: "01", count: 32), count: 6).joined(separator: " ")
  let other = String(decoding: input.bytes(input.below(80)), as: UTF8.self)
  for line in ["ZSSP1 SESSION initiator 00000001 00000002 \(keys)", other] {
    do { try ring.add(line: line[...]) } catch { expect(!error.description.isEmpty, "an error says what is wrong") }
  }
}

/// A capture of frames with link, IP and UDP headers that fit, most of the time.
private func madeCapture(_ input: inout FuzzInput, link: Int) -> [UInt8] {
  var capture: [UInt8] = [0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0] + [UInt8](repeating: 0, count: 8)
  capture += little(UInt32(1 << 18)) + little(UInt32(link))
  var time: UInt32 = 0
  while !input.isEmpty, capture.count < 1 << 16 {
    let frame = linkHeader(link, &input) + ipPacket(&input)
    time += UInt32(input.byte())
    capture += little(time) + little(0 as UInt32) + little(UInt32(frame.count)) + little(UInt32(frame.count)) + frame
  }
  return capture
}

private func linkHeader(_ link: Int, _ input: inout FuzzInput) -> [UInt8] {
  let tags = (0..<input.below(3)).flatMap { _ in [0x81, 0, 0, 1] as [UInt8] }
  switch link {
  case 1: return [UInt8](repeating: 0, count: 12) + tags + [8, 0]
  case 113: return [UInt8](repeating: 0, count: 14) + tags + [8, 0]
  case 276: return [8, 0] + [UInt8](repeating: 0, count: 18)
  case 0: return [2, 0, 0, 0]
  case 108: return [0, 0, 0, 2]
  default: return []
  }
}

private func ipPacket(_ input: inout FuzzInput) -> [UInt8] {
  let choice = input.byte()
  let ports: [UInt16] = [20763, 1, 2]
  let source = ports[input.below(3)]
  let destination = ports[input.below(3)]
  var payload = datagram(&input)
  payload = big(source) + big(destination) + big(UInt16(payload.count + 8)) + [0, 0] + payload
  // ICMP about such a datagram, a fragment of it, or all of it.
  if choice & 3 == 0 {
    let error = [input.byte() & 3, input.byte() & 15, 0, 0, 0, 0, 5, input.byte()]
    payload = error + header(of: payload, transport: 17) + payload.prefix(40)
    return header(of: payload, transport: 1) + payload
  }
  guard choice & 3 == 1 else { return header(of: payload, transport: 17) + payload }
  let offset = input.below(16)
  let part = Array(payload.dropFirst(8 * offset).prefix(8 * (1 + input.below(64))))
  return header(of: part, transport: 17, fragment: UInt16(offset) | (choice & 4 != 0 ? 0x2000 : 0)) + part
}

private func header(of payload: [UInt8], transport: UInt8, fragment: UInt16 = 0) -> [UInt8] {
  let addresses: [UInt8] = [10, 0, 0, 1, 10, 0, 0, 2]
  return [0x45, 0] + big(UInt16(20 + payload.count)) + [0, 1] + big(fragment) + [64, transport, 0, 0] + addresses
}

/// A datagram: raw bytes, a Hello's fragment, a challenge, or a packet under a key of the ring.
private func datagram(_ input: inout FuzzInput) -> [UInt8] {
  let choice = input.byte()
  switch choice & 3 {
  case 0: return input.bytes(Int(input.byte()))
  case 1:
    let count = 1 + input.below(4)
    let number = input.below(count)
    let size = FragmentPlan(size: PacketSize.hello, count: count).range(number).count
    let header = [0, 0, 0, 0, UInt8(number), UInt8(count), 0, 0] + big(UInt64(choice >> 2))
    return header + [UInt8](repeating: input.byte() & 1, count: size)
  case 2: return [0, 0, 0, 0, 0, 1, 0, 9] + big(UInt64(choice)) + [UInt8](repeating: input.byte(), count: 36)
  default: return sealed(&input, keyID: keyIDs[Int(choice >> 2 & 1)])
  }
}

private func sealed(_ input: inout FuzzInput, keyID: UInt32) -> [UInt8] {
  let provider = StandInCrypto()
  let secretBytes = [UInt8](repeating: 1, count: 32)
  let secret = Secret(copying: secretBytes.rawBytes)
  guard let type = PacketType(rawValue: input.byte() % 10) else { return [] }
  let header = FragmentHeader(
    keyID: KeyID(value: keyID), number: input.below(3), count: 1 + input.below(3), type: type,
    counter: UInt64(input.byte() & 15))
  let body = input.bytes(input.below(100))
  var bytes = [UInt8](repeating: 0, count: 32 + body.count)
  bytes.withMutableBytes { bytes in
    header.write(to: &bytes)
    var rest = bytes.slice(16..<bytes.byteCount)
    provider.packetKey(secret).seal(body.rawBytes, nonce: header.nonce, authenticating: RawSpan(), into: &rest)
  }
  bytes.withMutableBytes { bytes in
    var block = bytes.slice(FragmentHeader.protectedBytes)
    provider.headerKey(secret).encrypt(&block)
  }
  return bytes
}

private func big(_ value: some FixedWidthInteger) -> [UInt8] { Array(little(value).reversed()) }

private func little(_ value: some FixedWidthInteger) -> [UInt8] {
  (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}
