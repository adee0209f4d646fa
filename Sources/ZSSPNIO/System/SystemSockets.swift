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
    /// Takes what has a key id, and sends everything.
    let data: SystemSocket
    /// Takes Hellos, which have none. A flood of them fills this socket's buffer, and costs established sessions no
    /// datagram. Nil where the kernel cannot tell them apart: then `data` takes them too.
    let hellos: SystemSocket?

    /// Binds the sockets of as many shards to one port. The kernel steers: what has a key id goes to the shard that the
    /// id's low bits name, a Hello to one by its source.
    ///
    /// - Parameters:
    ///   - shards: a power of two.
    ///   - configure: called with each socket once it is bound; an error number other than 0 refuses it.
    /// - Throws: `IOError`. Among its reasons is that the port is in use, by another instance of this too.
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
      // The sockets that are not used are closed with `all`.
      return Bound(
        local: local,
        sockets: (0..<shards).map { SystemSockets(data: all[$0], hellos: isSteered ? all[shards + $0] : nil) },
        isSteered: isSteered)
    }

    /// The sockets of all shards.
    struct Bound {
      let local: Address
      let sockets: [SystemSockets]
      /// Whether datagrams come to the right ones.
      let isSteered: Bool
    }
  }

  /// A descriptor of a UDP socket, closed with the last reference to it.
  final class SystemSocket: Sendable {
    let descriptor: CInt

    private init(descriptor: CInt) { self.descriptor = descriptor }

    deinit { czssp_close(descriptor) }

    /// Binds a socket, and says where it is bound.
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
