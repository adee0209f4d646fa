// SPDX-License-Identifier: Apache-2.0

extension SendRun {
  /// Seals a message and cuts it into datagrams (section 5).
  mutating func appendFragments(_ message: RawSpan, size: Int, plan: FragmentPlan) {
    if let stream = path.takeStream() {
      appendFragments(message, plan: plan, stream: stream)
      path.giveBack(stream)
    } else {
      appendFragmentsOfWhole(message, size: size, plan: plan)
    }
  }

  /// Seals a message in pieces, each directly into its datagram.
  private mutating func appendFragments(_ message: RawSpan, plan: FragmentPlan, stream: any PacketStream) {
    stream.begin(.sealing, nonce: Nonce(.data, counter: counter))
    for number in 0..<plan.count {
      let header = FragmentHeader(keyID: path.keyID, number: number, count: plan.count, type: .data, counter: counter)
      let range = plan.range(number)
      // At the smallest MTU a fragment has at least 56 bytes, so the whole tag lies in the last
      // one.
      let piece = message.extracting(range.lowerBound..<min(range.upperBound, message.byteCount))
      let datagramSize = FragmentHeader.size + range.count
      let tagStart = FragmentHeader.size + piece.byteCount
      prepareDatagram(size: datagramSize)
      outbox.append(size: datagramSize, to: address, trafficClass: trafficClass) { datagram in
        header.write(to: &datagram)
        do {
          var body = datagram.slice(FragmentHeader.size..<tagStart)
          stream.update(piece, into: &body)
        }
        guard tagStart < datagramSize else { return }
        var tag = datagram.slice(tagStart..<datagramSize)
        stream.finish(writingTagTo: &tag)
      }
    }
  }

  /// Seals a message in one piece, and copies its parts into the datagrams.
  private mutating func appendFragmentsOfWhole(_ message: RawSpan, size: Int, plan: FragmentPlan) {
    var packet = outbox.scratch
    outbox.scratch = []
    if packet.count < size { packet.append(contentsOf: repeatElement(0, count: size - packet.count)) }
    let packetKey = path.packetKey
    let nonce = Nonce(.data, counter: counter)
    packet.withMutableBytes { bytes in
      var body = bytes.slice(0..<size)
      packetKey.seal(message, nonce: nonce, authenticating: RawSpan(), into: &body)
    }
    for number in 0..<plan.count {
      let header = FragmentHeader(keyID: path.keyID, number: number, count: plan.count, type: .data, counter: counter)
      let piece = packet.rawBytes.extracting(plan.range(number))
      let datagramSize = FragmentHeader.size + piece.byteCount
      prepareDatagram(size: datagramSize)
      outbox.append(size: datagramSize, to: address, trafficClass: trafficClass) { datagram in
        header.write(to: &datagram)
        datagram.write(piece, at: FragmentHeader.size)
      }
    }
    outbox.scratch = packet
  }
}
