// SPDX-License-Identifier: Apache-2.0

/// Receives X3, the only packet for a half-open handshake (section 6).
extension Endpoint {
  /// Removes the header protection of a fragment of X3, and processes the fragment if its header is
  /// as expected.
  mutating func protectedReceived(
    _ datagram: inout MutableRawSpan, for handshake: HalfOpenHandshake, from source: Address, at now: Instant
  ) -> ReceiveResult {
    // The datagram may arrive before the expiry timer is processed.
    guard now < handshake.expiry else { return .dropped(.unknownKeyID) }
    // [DEC-5]
    guard let headerKey = handshake.headerReceivingKey(provider) else { return .dropped(.busy) }
    removeHeaderProtection(&datagram, by: headerKey)
    guard let header = FragmentHeader(datagram.bytes) else { return .dropped(.malformed) }
    // [HDR-4]
    guard header.type == PacketType.completion.rawValue, header.counter == 0 else { return .dropped(.unexpected) }
    let payload = datagram.bytes.extracting(FragmentHeader.size..<datagram.byteCount)
    if header.count == 1 { return completionReceived(payload.array, for: handshake, from: source, at: now) }
    // [FRAG-11]
    let outcome = reassemble(header, payload: payload, for: handshake, at: now)
    timers.set(handshake, to: handshake.nextDeadline)
    switch outcome {
    case .stored: return .handled
    case .refused(let reason): return .dropped(reason)
    case .complete(let packet): return completionReceived(packet, for: handshake, from: source, at: now)
    // The handshake has no stream, so its packets stay unopened.
    case .opened: return .dropped(.unexpected)
    }
  }

  /// Processes a complete X3.
  private mutating func completionReceived(
    _ packet: [UInt8], for handshake: HalfOpenHandshake, from source: Address, at now: Instant
  ) -> ReceiveResult {
    if let trace {
      trace.add(.received(.completion, size: packet.count, from: source), of: trace.owner(handshake), at: now)
    }
    do {
      let steps = try handshake.completionReceived(
        packet, from: source, gate: &hellos.gate, provider: provider, at: now)
      perform(steps, for: handshake, at: now)
      return .handled
    } catch {
      if let trace { trace.add(.dropped(.completion, error.reason), of: trace.owner(handshake)) }
      return .dropped(error.reason)
    }
  }
}
