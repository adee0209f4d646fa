// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import CZSSPSocket
  import NIOCore
  import ZSSP

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #endif

  /// The sockets of one shard.
  struct SystemSockets {
    /// Receives packets with a key id, and sends everything.
    let data: SystemSocket
    /// Receives Hellos, which have no key id. A flood of them fills this socket's buffer, and costs
    /// established sessions no datagram. Nil where the kernel cannot tell them apart: then `data`
    /// receives them, too.
    let hellos: SystemSocket?

    /// Binds the sockets of all shards to one port. The kernel steers: a packet with a key id goes
    /// to the shard in the id's low bits, a Hello to one by its source.
    ///
    /// - Parameters:
    ///   - address: The local address.
    ///   - shards: The number of shards, a power of two.
    ///   - configure: Called with each bound socket; an error number other than 0 refuses it.
    /// - Throws: `IOError`, for example if the port is in use, also by another endpoint of this
    ///   kind.
    static func bind(
      to address: Address, shards: Int, configure: (CInt) -> CInt = { _ in 0 }
    ) throws -> Bound {
      let (first, local) = try SystemSocket.bind(to: address, joining: false)
      let error = czssp_udp_share(first.descriptor)
      guard error == 0 else { throw IOError(errnoCode: -error, reason: "setsockopt") }
      var all = [first]
      while all.count < 2 * shards { all.append(try SystemSocket.bind(to: local, joining: true).socket) }
      for socket in all {
        let error = configure(socket.descriptor)
        guard error == 0 else { throw IOError(errnoCode: error, reason: "setsockopt") }
      }
      let isSteered = czssp_udp_steer(first.descriptor, UInt32(shards)) == 0
      // Closes unused sockets with the last reference in `all`.
      return Bound(
        local: local,
        sockets: (0..<shards).map { SystemSockets(data: all[$0], hellos: isSteered ? all[shards + $0] : nil) },
        isSteered: isSteered)
    }

    /// The sockets of all shards.
    struct Bound {
      let local: Address
      let sockets: [SystemSockets]
      /// True if the kernel steers datagrams to the right shard.
      let isSteered: Bool
    }
  }

  /// A UDP socket, closed with its last reference.
  final class SystemSocket: Sendable {
    let descriptor: CInt

    private init(descriptor: CInt) { self.descriptor = descriptor }

    deinit { czssp_close(descriptor) }

    /// Binds a socket, and returns its bound address, too.
    ///
    /// - Throws: `IOError`.
    static func bind(to address: Address, joining: Bool) throws -> (socket: SystemSocket, local: Address) {
      var name = czssp_address(address)
      var bound = czssp_address()
      let descriptor = czssp_udp_open(&name, joining, &bound)
      guard descriptor >= 0 else { throw IOError(errnoCode: -descriptor, reason: "bind") }
      let socket = SystemSocket(descriptor: descriptor)
      guard let local = Address(bound) else { throw IOError(errnoCode: EAFNOSUPPORT, reason: "bind") }
      return (socket, local)
    }
  }
#endif
