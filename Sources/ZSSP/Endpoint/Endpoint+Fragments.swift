// SPDX-License-Identifier: Apache-2.0

extension Endpoint {
  /// Takes in the fragments of data packets at the start of `segments`, whose headers `headerKey` has uncovered, up to the
  /// first datagram that is something else. Returns where that begins.
  mutating func takeFragments(
    _ burst: inout MutableRawSpan, _ segments: Segments, of session: Session, under key: SessionKey,
    _ headerKey: any HeaderKey, from source: Address, at now: Instant
  ) -> Int {
    let deadline = session.reassembly.nextDeadline
    var start = segments.range.lowerBound
    while start < segments.range.upperBound {
      let segment = segments.segment(at: start)
      guard let header = FragmentHeader(burst.bytes.extracting(segment)), header.isPartOfData else { break }
      start = segment.upperBound
      guard session.replayWindow.accepts(header.counter) else {
        drop(.replayed)
        continue
      }
      keep(headerKey, of: session, at: now)
      let payload = burst.bytes.extracting(segment.lowerBound + FragmentHeader.size..<segment.upperBound)
      let outcome = session.reassembly.insert(header, payload, at: now) {
        key.takeReceivingStream(configuration.provider)
      }
      switch outcome {
      case .stored: break
      case .refused(let reason): drop(reason)
      case .opened(let message, let stream):
        key.giveBack(stream)
        deliver(messageOpened(message, header, for: session, from: source))
      case .complete(let packet):
        deliver(packetCompleted(packet, header, .data, for: session, from: source, at: now))
      }
    }
    if session.reassembly.nextDeadline != deadline { schedule(session) }
    return start
  }

  private mutating func deliver(_ reception: Reception) {
    switch reception {
    case .assembled(let id, let message): inbox.append(Delivery(session: id, range: 0..<0, assembled: message))
    case .dropped(let reason): drop(reason)
    case .message, .handled: break
    }
  }
}
