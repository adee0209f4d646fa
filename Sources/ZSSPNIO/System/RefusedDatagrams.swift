// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import ZSSP

  /// Datagrams that were too large for the network device.
  struct RefusedDatagrams {
    /// The maximum number of datagrams that are remembered. The others are found again when they
    /// are resent.
    private static let limit = 16

    private var datagrams: [RefusedDatagram] = []

    /// Records a datagram, unless it is like the last one.
    mutating func append(_ piece: czssp_outgoing) {
      guard datagrams.count < Self.limit, let address = Address(piece.address) else { return }
      let refused = RefusedDatagram(address: address, size: Int(piece.length))
      if datagrams.last != refused { datagrams.append(refused) }
    }

    /// Removes and returns all datagrams.
    mutating func take() -> [RefusedDatagram] {
      guard !datagrams.isEmpty else { return [] }
      defer { datagrams = [] }
      return datagrams
    }
  }
#endif
