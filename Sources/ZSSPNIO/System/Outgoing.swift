// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import ZSSP

  extension czssp_outgoing {
    /// Describes the bytes of one datagram, or of several of `segmentSize` bytes.
    ///
    /// - Parameters:
    ///   - address: The destination.
    ///   - local: The source address; nil leaves the choice to the system.
    ///   - trafficClass: The IPv4 type of service or IPv6 traffic class.
    init(
      _ bytes: UnsafeRawBufferPointer, segmentSize: Int, to address: Address,
      from local: UnsafePointer<czssp_local>? = nil, trafficClass: UInt8 = 0
    ) {
      self.init(
        address: czssp_address(address), bytes: bytes.baseAddress, local: local, length: UInt32(bytes.count),
        segment_size: bytes.count > segmentSize ? UInt16(segmentSize) : 0, traffic_class: trafficClass)
    }

    /// The number of datagrams.
    var datagramCount: Int {
      segment_size == 0 ? 1 : (Int(length) + Int(segment_size) - 1) / Int(segment_size)
    }

    /// The datagrams as single pieces.
    var datagrams: [czssp_outgoing] {
      let size = segment_size == 0 ? Int(length) : Int(segment_size)
      return stride(from: 0, to: Int(length), by: max(1, size)).map { start in
        czssp_outgoing(
          address: address, bytes: bytes + start, local: local, length: UInt32(min(size, Int(length) - start)),
          segment_size: 0, traffic_class: traffic_class)
      }
    }
  }

  extension czssp_address {
    init(_ address: Address) {
      self.init(
        high: address.high, low: address.low, scope: address.scope, port: address.port,
        family: address.family.rawValue)
    }
  }

  extension Address {
    /// Converts the address; nil if it is no IP address.
    init?(_ address: czssp_address) {
      switch Family(rawValue: address.family) {
      case .ipv4: self.init(ipv4: UInt32(truncatingIfNeeded: address.low), port: address.port)
      case .ipv6: self.init(ipv6: address.high, address.low, port: address.port, scope: address.scope)
      case nil: return nil
      }
    }
  }
#endif
