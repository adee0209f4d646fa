// SPDX-License-Identifier: Apache-2.0

/// A message that arrived in a burst of datagrams.
public struct Delivery: Sendable {
  /// The session of the message.
  public let session: SessionID
  /// The range of the plaintext in the burst, in bytes. Empty if ``assembled`` holds the message.
  public let range: Range<Int>
  /// The message if it arrived in several fragments; otherwise nil.
  public let assembled: [UInt8]?
}

/// Processes several datagrams at once, as generic receive offload and vectored reads deliver them.
///
/// Datagrams under one key id share the look-up of the session, the decryption of headers, and the
/// bookkeeping. Otherwise they are processed as if they arrived one by one. This file depends on
/// more parts of a session than the rest of the endpoint does: a message of 64 bytes takes 200 ns,
/// and a second look-up would take a quarter of that.
extension Endpoint {
  /// The positions of the datagrams of a burst.
  struct Segments {
    let range: Range<Int>
    let size: Int

    /// Returns the range of the datagram at `start`.
    func segment(at start: Int) -> Range<Int> { start..<min(start + size, range.upperBound) }
    var count: Int { (range.count + size - 1) / size }
  }

  /// The result of opening the data packets of one key.
  private struct BatchCounts {
    var messages: UInt64 = 0
    var bytes: UInt64 = 0
    /// True if one of them is the newest of its session so far.
    var hasNewest = false
    /// The start of the first datagram that is not one of them.
    var end: Int
  }

  /// The number of headers whose protection is removed at once.
  private static let headersAtOnce = 64

  /// Entry point for datagrams of one sender that lie one after another in a buffer. Their messages
  /// are added to ``inbox``, which the caller empties.
  ///
  /// - Parameters:
  ///   - burst: the datagrams, which are decrypted in place. Afterwards their content is
  ///     unspecified, except for the plaintexts of messages.
  ///   - segmentSize: the size of each datagram but the last, in bytes, at least 1. The last may be
  ///     shorter.
  ///   - source: the sender's address.
  ///   - now: the present time.
  public mutating func receive(
    burst: inout MutableRawSpan, segmentSize: Int, from source: Address, at now: Instant
  ) {
    let end = burst.byteCount
    // Limits the caller's value, so that sums of it and offsets stay small.
    let size = min(max(1, segmentSize), end)
    var start = 0
    while start < end {
      let segments = Segments(range: start..<end, size: size)
      start = receiveRun(&burst, in: segments, from: source, at: now)
    }
  }

  /// Receives the datagrams at the start of `segments` that have the same key id. Returns the start
  /// of the others.
  private mutating func receiveRun(
    _ burst: inout MutableRawSpan, in segments: Segments, from source: Address, at now: Instant
  ) -> Int {
    let first = segments.segment(at: segments.range.lowerBound)
    guard FragmentHeader.smallestDatagram...Settings.largestMTU ~= first.count,
      case .session(let session)? = keyIDs[KeyID(burst.bytes.extracting(first))],
      let headerKey = session.core.keys.headerReceivingKey(provider)
    else {
      journal.countReceived(datagrams: 1, bytes: first.count)
      var datagram = burst.slice(first)
      deliver(route(&datagram, from: source, at: now), segment: first)
      return first.upperBound
    }
    let run = commonRun(burst.bytes, in: segments)
    journal.countReceived(datagrams: run.count, bytes: run.range.count)
    do {
      var covered = burst.slice(run.range.lowerBound + FragmentHeader.protectedBytes.lowerBound..<run.range.upperBound)
      // [HDR-2]
      headerKey.decrypt(&covered, stride: run.size, count: run.count)
    }
    unprotectedReceived(&burst, in: run, by: headerKey, for: session, from: source, at: now)
    return run.range.upperBound
  }

  /// Returns the datagrams at the start of `segments` that have the first one's key id and are not
  /// too short.
  private func commonRun(_ bytes: RawSpan, in segments: Segments) -> Segments {
    let start = segments.range.lowerBound
    let keyID = bytes.load(UInt32.self, at: start)
    var end = segments.segment(at: start).upperBound
    var count = 1
    while end < segments.range.upperBound, count < Self.headersAtOnce {
      let next = segments.segment(at: end)
      guard next.count >= FragmentHeader.smallestDatagram, bytes.load(UInt32.self, at: end) == keyID else { break }
      end = next.upperBound
      count += 1
    }
    return Segments(range: start..<end, size: segments.size)
  }

  /// Receives datagrams for one session after header protection was removed: runs of data packets
  /// fast, others one by one. Packets other than data may change the session, so it is looked up
  /// again after each.
  private mutating func unprotectedReceived(
    _ burst: inout MutableRawSpan, in run: Segments, by headerKey: any HeaderKey, for session: Session,
    from source: Address, at now: Instant
  ) {
    let keyID = KeyID(burst.bytes.extracting(run.range))
    var start = run.range.lowerBound
    while start < run.range.upperBound {
      if peers.contains(session), let key = session.key(keyID) {
        var rest = Segments(range: start..<run.range.upperBound, size: run.size)
        if startsWithNewData(burst.bytes, in: rest, for: session) {
          // The header key is cached only after a header was as expected.
          keep(headerKey, of: session, at: now)
          let receivingKey = key.receivingKey(surroundings.configuration.provider)
          let id = session.id
          let tally = session.withWindow { window in
            openData(&burst, in: rest, under: receivingKey, of: id, window: &window)
          }
          record(tally, for: session, from: source, at: now)
          rest = Segments(range: tally.end..<run.range.upperBound, size: run.size)
        }
        start = fragmentsReceived(&burst, in: rest, for: session, headerKey: headerKey, from: source, at: now)
      }
      guard start < run.range.upperBound else { break }
      let segment = run.segment(at: start)
      start = segment.upperBound
      guard peers.contains(session) else {
        journal.drop(.unknownKeyID)
        continue
      }
      var datagram = burst.slice(segment)
      let reception = unprotectedReceived(&datagram, by: headerKey, for: session, from: source, at: now)
      deliver(reception, segment: segment)
    }
  }

  /// Returns true if the first datagram is a whole data packet whose counter is acceptable.
  private func startsWithNewData(_ bytes: RawSpan, in segments: Segments, for session: Session) -> Bool {
    guard let header = FragmentHeader(bytes.extracting(segments.segment(at: segments.range.lowerBound))) else {
      return false
    }
    return header.isWholeData && session.core.keys.window.accepts(header.counter)
  }

  /// Opens data packets of a single fragment, up to the first datagram that is something else.
  private mutating func openData(
    _ burst: inout MutableRawSpan, in segments: Segments, under key: any PacketKey, of session: SessionID,
    window: inout ReplayWindow
  ) -> BatchCounts {
    var tally = BatchCounts(end: segments.range.lowerBound)
    while tally.end < segments.range.upperBound {
      let segment = segments.segment(at: tally.end)
      guard let header = FragmentHeader(burst.bytes.extracting(segment)), header.isWholeData else { return tally }
      tally.end = segment.upperBound
      // [CTR-7]
      guard window.accepts(header.counter) else {
        journal.drop(.replayed)
        continue
      }
      var packet = burst.slice(segment.lowerBound + FragmentHeader.size..<segment.upperBound)
      guard key.open(&packet, nonce: header.nonce, authenticating: RawSpan()) else {
        journal.drop(.notAuthentic)
        continue
      }
      if header.counter >= window.next { tally.hasNewest = true }
      // [CTR-8]
      window.acceptAcceptable(header.counter)
      let start = segment.lowerBound + FragmentHeader.size
      let range = start..<segment.upperBound - PacketSize.tag
      inbox.append(Delivery(session: session, range: range, assembled: nil))
      tally.messages += 1
      tally.bytes += UInt64(range.count)
    }
    return tally
  }

  private mutating func record(_ tally: BatchCounts, for session: Session, from source: Address, at now: Instant) {
    guard tally.messages > 0 else { return }
    countDelivered(messages: tally.messages, bytes: tally.bytes, on: session, at: now)
    // [DEC-30] [DEC-31]
    if tally.hasNewest, session.core.isElsewhere(source) { move(session, to: source) }
  }

  /// Receives the fragments of data packets at the start of `segments`, up to the first datagram
  /// that is something else. `headerKey` has removed their header protection. Returns the start of
  /// that datagram.
  private mutating func fragmentsReceived(
    _ burst: inout MutableRawSpan, in segments: Segments, for session: Session, headerKey: any HeaderKey,
    from source: Address, at now: Instant
  ) -> Int {
    let deadline = session.reassembly.nextDeadline
    var start = segments.range.lowerBound
    while start < segments.range.upperBound {
      let segment = segments.segment(at: start)
      guard let header = FragmentHeader(burst.bytes.extracting(segment)), header.isPartOfData else { break }
      start = segment.upperBound
      // [CTR-7] [HDR-5]
      guard session.core.keys.window.accepts(header.counter) else {
        journal.drop(.replayed)
        continue
      }
      keep(headerKey, of: session, at: now)
      let payload = burst.bytes.extracting(segment.lowerBound + FragmentHeader.size..<segment.upperBound)
      deliver(
        fragmentReceived(payload, header: header, type: .data, for: session, from: source, at: now), segment: segment)
    }
    if session.reassembly.nextDeadline != deadline { schedule(session) }
    return start
  }

  /// Adds a message to the inbox, or counts a dropped datagram.
  private mutating func deliver(_ reception: ReceiveResult, segment: Range<Int>) {
    switch reception {
    case .message(let id, let range):
      let start = segment.lowerBound
      inbox.append(
        Delivery(session: id, range: start + range.lowerBound..<start + range.upperBound, assembled: nil))
    case .assembled(let id, let message):
      inbox.append(Delivery(session: id, range: 0..<0, assembled: message))
    case .dropped(let reason): journal.drop(reason)
    case .handled: break
    }
  }
}
