// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPNIO

  /// The kernel delivers each datagram to the socket of its shard.
  @Suite(.tags(.fast)) struct SteeringTests {
    private static let loopback = [Address(ipv4: 0x7F00_0001, port: 0), Address(ipv6: 0, 1, port: 0)]

    /// Sends a datagram from a new socket, and returns the index of the socket that received it,
    /// and its source.
    private func receiver(
      of datagram: [UInt8], to bound: SystemSockets.Bound, _ all: [SystemSocket]
    ) throws -> (index: Int, source: Address) {
      let from = bound.local.family == .ipv4 ? Self.loopback[0] : Self.loopback[1]
      let (socket, source) = try SystemSocket.bind(to: from, joining: false)
      let error = datagram.withUnsafeBytes { bytes in
        var piece = czssp_outgoing(bytes, segmentSize: bytes.count, to: bound.local)
        var sent: CInt = 0
        return czssp_udp_send(socket.descriptor, &piece, 1, &sent)
      }
      try #require(error == 0)
      let received = try #require(ReceivedPieces(count: 2))
      let takers = all.indices.filter { received.fill(from: all[$0].descriptor) > 0 }
      try #require(takers.count == 1)
      return (takers[0], source)
    }

    @Test(arguments: [1, 2, 4, 16], loopback) func datagramsComeToTheirShard(shards: Int, address: Address) throws {
      let bound = try SystemSockets.bind(to: address, shards: shards)
      guard bound.isSteered else { return isNotTested("steering: the kernel does not") }
      let all = bound.sockets.map(\.data) + bound.sockets.compactMap(\.hellos)
      for keyID in [1, 2, 3, 0x0100_0000, 0xFFFF_FFFF, 0x1234_5678, 0x8000_0010] as [UInt32] {
        let datagram = withUnsafeBytes(of: keyID.bigEndian) { Array($0) } + [UInt8](repeating: 9, count: 40)
        #expect(try receiver(of: datagram, to: bound, all).index == Int(keyID) % shards, "key id \(keyID)")
      }
      for _ in 0..<32 {
        let hello = try receiver(of: [UInt8](repeating: 0, count: 44), to: bound, all)
        #expect(hello.index == shards + hello.source.shard(of: shards), "\(hello.source)")
      }
    }

    /// A datagram without a key id disturbs no session.
    @Test func aShortDatagramComesToTheFirst() throws {
      let bound = try SystemSockets.bind(to: Self.loopback[0], shards: 2)
      guard bound.isSteered else { return isNotTested("steering: the kernel does not") }
      let all = bound.sockets.map(\.data) + bound.sockets.compactMap(\.hellos)
      for size in 0..<4 {
        #expect(try receiver(of: [UInt8](repeating: 1, count: size), to: bound, all).index == 0, "\(size) bytes")
      }
    }
  }
#endif
