// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

extension EndpointHandle {
  /// Makes the shards of an endpoint, and binds their sockets.
  ///
  /// - Throws: `ConfigurationError`, or the error of the socket.
  static func bind(
    to address: SocketAddress, configuration: EndpointConfiguration, store: any RatchetStore,
    options: UDPOptions, group: any EventLoopGroup, environment: EndpointEnvironment = EndpointEnvironment()
  ) async throws -> EndpointHandle {
    let mailboxes = EndpointMailboxes(options)
    let directory = PeerDirectory()
    var drivers: [NIOLoopBound<Driver>] = []
    var shards: [ShardHandle] = []
    do {
      // An invalid number of shards is refused when the first shard is made.
      for index in 0..<max(1, options.shards) {
        var configuration = configuration
        configuration.directory = directory
        if options.shards != 1 { configuration.settings.shard = Shard(index, of: options.shards) }
        let eventLoop = group.next()
        let settled = configuration
        let made = try await eventLoop.submit {
          let driver = try Driver(
            settled, store: store, options: options, mailboxes: mailboxes, environment: environment, shard: index,
            eventLoop: eventLoop)
          return (driver.bound, ShardHandle(driver))
        }.get()
        drivers.append(made.0)
        shards.append(made.1)
      }
      if shards.count > 1 {
        for shard in shards {
          await shard.ask { [shards] driver in driver.join(shards, sharing: directory) }
        }
      }
      let localAddress = try await bindSockets(to: address, options: options, shards: shards, drivers: drivers)
      environment.log?.bound(localAddress, key: shards[0].publicKey, shards: shards.count)
      return EndpointHandle(
        shards, mailboxes: mailboxes, directory: directory, environment: environment, localAddress: localAddress)
    } catch {
      for shard in shards { shard.tell { driver in driver.close() } }
      throw error
    }
  }

  /// Binds the sockets of all shards to one port: the system's own where the event loops can watch
  /// them, otherwise NIO channels.
  private static func bindSockets(
    to address: SocketAddress, options: UDPOptions, shards: [ShardHandle], drivers: [NIOLoopBound<Driver>]
  ) async throws -> SocketAddress {
    #if os(Linux)
      let eventLoops = shards.compactMap { $0.eventLoop as? EpollEventLoop }
      if eventLoops.count == shards.count {
        return try await bindSystemSockets(to: address, options: options, eventLoops: eventLoops, drivers: drivers)
      }
    #endif
    // Nothing steers datagrams to the right channel. Any channel may receive them, and hands them
    // over.
    let isShared = shards.count > 1
    var local = address
    for (index, driver) in drivers.enumerated() {
      let target = local
      let sharing = isShared ? ChannelPort.Sharing(joins: index > 0) : nil
      local = try await shards[index].eventLoop.flatSubmit {
        let driver = driver.value
        return ChannelPort.bind(
          to: target, for: driver, maySegment: true, driver.options, on: driver.eventLoop, sharing: sharing)
      }.get()
    }
    return local
  }

  #if os(Linux)
    private static func bindSystemSockets(
      to address: SocketAddress, options: UDPOptions, eventLoops: [EpollEventLoop],
      drivers: [NIOLoopBound<Driver>]
    ) async throws -> SocketAddress {
      guard let wanted = Address(address) else {
        throw IOError(errnoCode: Errno.addressFamilyNotSupported, reason: "bind")
      }
      let bound = try SystemSockets.bind(
        to: wanted, shards: drivers.count, configure: options.configureSocket ?? { _ in 0 })
      for ((eventLoop, driver), sockets) in zip(zip(eventLoops, drivers), bound.sockets) {
        try await eventLoop.submit {
          try LinuxUDPPort.open(
            sockets, at: bound.local, for: driver.value, options: driver.value.options, on: eventLoop)
        }.get()
      }
      return bound.local.socketAddress
    }
  #endif

  /// Returns the shard in which to open a session: the one that has a session with the peer
  /// already, otherwise the one that receives the peer's Hellos. So one session results when both
  /// sides open at once.
  func shard(for request: ConnectRequest) -> ShardHandle {
    guard shards.count > 1 else { return shards[0] }
    return shards[directory.shard(for: request.key) ?? request.address.unmapped.shard(of: shards.count)]
  }
}

extension Address {
  /// Returns the shard that receives Hellos from this address where the kernel steers them; see
  /// czssp_udp_steer.
  func shard(of count: Int) -> Int {
    let mixed = (UInt32(truncatingIfNeeded: low) ^ UInt32(port)) &* 0x9E37_79B1
    return Int(mixed >> 16) & (count - 1)
  }
}
