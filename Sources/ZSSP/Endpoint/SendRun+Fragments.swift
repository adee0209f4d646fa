// SPDX-License-Identifier: Apache-2.0

extension SendRun {
  /// Seals a message and cuts it into datagrams (section 5).
  mutating func appendFragments(_ message: RawSpan, _ size: Int) {
    if let stream = stream() {
      appendFragments(message, size, stream)
    } else {
      appendFragmentsOfWhole(message, size)
    }
  }

  /// Seals piece by piece, each straight into its datagram.
  private mutating func appendFragments(_ message: RawSpan, _ size: Int, _ stream: any PacketStream) {
    let plan = FragmentPlan(size: size, mtu: mtu)
    stream.begin(.sealing, nonce: Nonce(.data, counter))
    for number in 0..<plan.count {
      let range = plan.range(number)
      // At the smallest MTU a fragment has 56 bytes or more, so that the tag lies whole in the last.
      let piece = message.extracting(range.lowerBound..<min(range.upperBound, message.byteCount))
      appendFragment(number, plan) { payload in
        let bodySize = piece.byteCount
        do {
          var body = payload.slice(0..<bodySize)
          stream.update(piece, into: &body)
        }
        guard bodySize < payload.byteCount else { return }
        var tag = payload.slice(bodySize..<bodySize + PacketSize.tag)
        stream.finish(writingTagTo: &tag)
      }
    }
  }

  /// Seals in one piece, and copies its parts into the datagrams.
  private mutating func appendFragmentsOfWhole(_ message: RawSpan, _ size: Int) {
    var packet = scratch
    scratch = []
    if packet.count < size { packet.append(contentsOf: repeatElement(0, count: size - packet.count)) }
    let (packetKey, nonce) = (packetKey, Nonce(.data, counter))
    packet.withMutableBytes { bytes in
      var body = bytes.slice(0..<size)
      packetKey.seal(message, nonce: nonce, authenticating: RawSpan(), into: &body)
    }
    let plan = FragmentPlan(size: size, mtu: mtu)
    for number in 0..<plan.count {
      let piece = packet.rawBytes.extracting(plan.range(number))
      appendFragment(number, plan) { $0.write(piece, at: 0) }
    }
    scratch = packet
  }

  /// Appends one fragment, whose payload `write` writes.
  private mutating func appendFragment(_ number: Int, _ plan: FragmentPlan, _ write: (inout MutableRawSpan) -> Void) {
    let header = FragmentHeader(keyID: keyID, number: number, count: plan.count, type: .data, counter: counter)
    let size = FragmentHeader.size + plan.range(number).count
    appendDatagram(size: size) { datagram in
      header.write(to: &datagram)
      var payload = datagram.slice(FragmentHeader.size..<size)
      write(&payload)
    }
  }
}
