// SPDX-License-Identifier: Apache-2.0
@testable import ZSSP

/// The buffer for the Hello fragments of all strangers (section 5), against a model that keeps
/// every fragment it was given and has no bounds: what the buffer completes, the model must have
/// whole and equal.
func fuzz(_ input: inout FuzzInput) {
  let limits = HelloReassembly.Limits(packets: 1 + input.below(6), fragments: 1 + input.below(60))
  let timeout = Duration.seconds(5)
  var buffer = HelloReassembly(limits: limits, timeout: timeout)
  var model: [ModelKey: [UInt8: [UInt8]]] = [:]
  var now = Instant.milliseconds(0)

  while !input.isEmpty {
    let choice = input.byte()
    if choice & 15 == 0 {
      now = now.advanced(by: .milliseconds(Int64(input.integer(UInt16.self))))
      let before = buffer.count
      expect(buffer.expire(at: now) == before - buffer.count, "expiry is counted")
      if let next = buffer.nextDeadline { expect(next > now, "what is due has expired") }
      continue
    }
    let key = ModelKey(
      source: Address(ipv4: UInt32(choice >> 4 & 3), port: 1), counter: UInt64(choice >> 6), reserved: choice >> 3 & 1)
    var header = FragmentHeader(
      keyID: .none, number: Int(input.byte()), count: Int(input.byte()), type: .hello, counter: key.counter)
    header.reserved = key.reserved
    // The door refuses these before they come here.
    guard header.number < header.count, header.count <= FragmentHeader.largestCount else { continue }
    let right = FragmentPlan(size: PacketSize.hello, count: Int(header.count)).range(Int(header.number)).count
    let isRight = input.byte() & 7 != 0
    let size = isRight ? right : Int(input.integer(UInt16.self)) % 2048
    let fill = input.byte()
    let payload = [UInt8](repeating: fill, count: size)

    let isKnown = model[key]?[header.number] != nil
    switch buffer.insert(header, payload: payload.rawBytes, from: key.source, at: now) {
    case .stored:
      expect(size == right, "a fragment of another size is refused")
      model[key, default: [:]][header.number] = payload
    case .refused(let reason):
      expect(reason == .malformed || reason == .duplicateFragment, "\(reason) is no reason")
      expect(reason != .duplicateFragment || isKnown, "what is a duplicate has been there before")
    case .complete(let packet) where header.count == 1:
      expect(packet == payload, "a Hello of one fragment is that fragment")
    case .complete(let packet):
      expect(size == right, "a fragment of another size is refused")
      expect(packet.count == PacketSize.hello, "a Hello has \(PacketSize.hello) bytes")
      model[key, default: [:]][header.number] = payload
      expectEqual(packet, model[key] ?? [:], Int(header.count))
      model[key] = nil
    }
    expect(buffer.count <= limits.packets, "\(buffer.count) packets")
    expect(buffer.nextDeadline == nil || buffer.count > 0, "no deadline without a packet")
  }
}

private struct ModelKey: Hashable {
  let source: Address
  let counter: UInt64
  let reserved: UInt8
}

/// Every fragment of the packet is the one that was taken last, and lies where section 5 puts it.
private func expectEqual(_ packet: [UInt8], _ model: [UInt8: [UInt8]], _ count: Int) {
  let plan = FragmentPlan(size: packet.count, count: count)
  for number in 0..<count {
    guard let payload = model[UInt8(number)] else { return expect(false, "fragment \(number) was never given") }
    expect(Array(packet[plan.range(number)]) == payload, "fragment \(number) is not what was given")
  }
}
