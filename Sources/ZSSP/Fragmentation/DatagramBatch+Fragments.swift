// SPDX-License-Identifier: Apache-2.0

extension DatagramBatch {
  /// Appends a packet, cut into datagrams of at most `mtu` bytes (section 5). Without a header key
  /// the headers stay unprotected, as those of X1 and challenges are.
  mutating func append(
    fragmentsOf packet: RawSpan, type: PacketType, counter: UInt64, to address: Address, keyID: KeyID,
    under headerKey: (any HeaderKey)?, mtu: Int
  ) {
    // [FRAG-5]
    let plan = FragmentPlan(size: packet.byteCount, mtu: mtu)
    for number in 0..<plan.count {
      let payload = packet.extracting(plan.range(number))
      let header = FragmentHeader(keyID: keyID, number: number, count: plan.count, type: type, counter: counter)
      append(size: payload.byteCount + FragmentHeader.size, to: address) { datagram in
        header.write(to: &datagram)
        datagram.write(payload, at: FragmentHeader.size)
        // [HDR-7]
        guard let headerKey else { return }
        var block = datagram.slice(FragmentHeader.protectedBytes)
        // [HDR-1]
        headerKey.encrypt(&block)
      }
    }
  }
}
