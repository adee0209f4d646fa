// SPDX-License-Identifier: Apache-2.0
@testable import ZSSP

/// The reassembly of one session (section 5), against a plain model of it: the two must say the
/// same of every fragment.
func fuzz(_ input: inout FuzzInput) {
  var limits = SessionReassembly.Limits()
  limits.packets = 1 + input.below(6)
  limits.bytes = 64 + Int(input.integer(UInt16.self))
  if input.flag() { limits.packetBytes = Int(input.integer(UInt16.self)) }
  let timeout = Duration.seconds(5)
  var buffer = SessionReassembly(limits: limits, timeout: timeout)
  var model = Model(limits: limits, timeout: timeout)
  var now = Instant.milliseconds(0)

  while !input.isEmpty {
    let choice = input.byte()
    if choice & 31 == 0 {
      now = now.advanced(by: .milliseconds(Int64(input.integer(UInt16.self))))
      expect(buffer.expire(at: now) == model.expire(at: now), "the same packets expire")
    } else if choice == 31 {
      buffer.removeAll()
      model.packets = []
    } else {
      var header = FragmentHeader(
        keyID: KeyID(value: 7), number: Int(input.byte()), count: Int(input.byte()), type: .data,
        counter: UInt64(choice >> 5) + (choice & 1 == 1 ? UInt64.max - 8 : 0))
      if choice & 30 == 2 { header.reserved = 1 }
      if choice & 30 == 4 { header.type = PacketType.rekeyInit.rawValue }
      // The door refuses these before they come here.
      guard header.number < header.count, header.count <= FragmentHeader.largestCount else { continue }
      // Sizes around one that a packet of this count could have, or any.
      let size =
        choice & 30 == 6 ? Int(input.integer(UInt16.self)) : max(0, 16 * Int(header.count) - 2 + input.below(4))
      let payload = [UInt8](repeating: input.byte(), count: size)
      let expected = model.insert(header, payload, at: now)
      switch (buffer.insert(header, payload: payload.rawBytes, at: now), expected) {
      case (.stored, .stored): break
      case (.refused(let one), .refused(let other)): expect(one == other, "refused for \(one), not \(other)")
      case (.complete(let one), .complete(let other)): expect(one == other, "the same packet")
      case (let one, let other): expect(false, "\(one), not \(other)")
      }
    }
    expect(buffer.count == model.packets.count, "\(buffer.count) packets, not \(model.packets.count)")
    expect(buffer.count <= limits.packets && buffer.bytes <= limits.bytes, "the bounds hold")
    expect(buffer.bytes == model.bytes, "\(buffer.bytes) bytes, not \(model.bytes)")
    expect(buffer.nextDeadline == model.packets.first?.startedAt.advanced(by: timeout), "the same deadline")
  }
}

/// A model of the same rules, written for reading: fragments in a dictionary, joined at the end.
private struct Model {
  struct Packet {
    let header: FragmentHeader
    let startedAt: Instant
    let place: Int
    var fragments: [Int: [UInt8]] = [:]

    var bytes: Int { Int(header.count) * place }
  }

  let limits: SessionReassembly.Limits
  let timeout: Duration
  /// The oldest first.
  var packets: [Packet] = []

  var bytes: Int { packets.reduce(0) { $0 + $1.bytes } }

  mutating func expire(at now: Instant) -> Int {
    let before = packets.count
    packets.removeAll { $0.startedAt.advanced(by: timeout) <= now }
    return before - packets.count
  }

  mutating func insert(_ header: FragmentHeader, _ payload: [UInt8], at now: Instant) -> SessionReassembly.Outcome {
    let slot = header.counter % UInt64(limits.packets)
    let holder = packets.firstIndex { $0.header.counter % UInt64(limits.packets) == slot }
    if let holder, isPart(header, packets[holder].header) { return add(header, payload, to: holder) }
    if let holder, packets[holder].header.counter >= header.counter { return .refused(.reassemblyFull) }
    // The first to arrive may be the shorter, by one byte; each gets a place of the longer size.
    let packet = Packet(header: header, startedAt: now, place: payload.count + 1)
    guard packet.bytes <= limits.bytes, payload.count * Int(header.count) <= limits.packetBytes.addingSlack(header)
    else { return .refused(.reassemblyFull) }
    if let holder { packets.remove(at: holder) }
    while bytes + packet.bytes > limits.bytes { packets.removeFirst() }
    packets.append(packet)
    return add(header, payload, to: packets.count - 1)
  }

  private func isPart(_ one: FragmentHeader, _ other: FragmentHeader) -> Bool {
    one.keyID == other.keyID && one.nonce == other.nonce
  }

  private mutating func add(
    _ header: FragmentHeader, _ payload: [UInt8], to index: Int
  ) -> SessionReassembly.Outcome {
    let packet = packets[index]
    guard header.count == packet.header.count, (packet.place - 2...packet.place).contains(payload.count) else {
      return .refused(.malformed)
    }
    guard packet.fragments[Int(header.number)] == nil else { return .refused(.duplicateFragment) }
    packets[index].fragments[Int(header.number)] = payload
    guard packets[index].fragments.count == Int(header.count) else { return .stored }
    let fragments = packets.remove(at: index).fragments.sorted { $0.key < $1.key }.map(\.value)
    let whole = Array(fragments.joined())
    let plan = FragmentPlan(size: whole.count, count: fragments.count)
    let isAsPlanned = fragments.indices.allSatisfy { fragments[$0].count == plan.range($0).count }
    return isAsPlanned && whole.count <= limits.packetBytes ? .complete(whole) : .refused(.malformed)
  }
}

extension Int {
  /// Adds the bytes by which a packet may seem too large while not all fragments are there: one for
  /// each, and one for each of their places.
  fileprivate func addingSlack(_ header: FragmentHeader) -> Int {
    let slack = 2 * FragmentHeader.largestCount - Int(header.count)
    return self > .max - slack ? .max : self + slack
  }
}
