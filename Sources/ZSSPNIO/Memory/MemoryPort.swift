// SPDX-License-Identifier: Apache-2.0
package import Logging
package import NIOCore
package import ZSSP

/// Carries datagrams between endpoints without sockets, for tests.
package protocol MemoryNetwork: AnyObject, Sendable {
  /// Called on the event loop of an endpoint that sends a datagram.
  func send(_ datagram: [UInt8], from source: Address, to target: Address)

  /// Called on the event loop of the endpoint at `address` when it is closed.
  func closed(_ address: Address)
}

/// Delivers datagrams to an endpoint without a socket.
package struct MemoryReceiver: Sendable {
  private let driver: NIOLoopBound<Driver>
  private let eventLoop: any EventLoop

  fileprivate init(_ driver: NIOLoopBound<Driver>, on eventLoop: any EventLoop) {
    self.driver = driver
    self.eventLoop = eventLoop
  }

  /// Delivers a datagram, in its own turn of the endpoint's event loop.
  package func receive(_ datagram: [UInt8], from source: Address) {
    let driver = driver
    eventLoop.execute {
      var bytes = datagram
      bytes.withUnsafeMutableBytes {
        driver.value.receive($0, segmentSize: 0, from: source, isSteered: false)
      }
      driver.value.readComplete()
    }
  }

  /// The number of unfinished items of public-key work. Must be read on the event loop.
  package var workInFlight: Int { driver.value.publicKeyExecutor.inFlight }

  /// The number of unfinished requests to the store. Must be read on the event loop.
  package var storeRequestsInFlight: Int { driver.value.storeExecutor.inFlight }
}

/// A port without a socket.
private final class MemoryPort: DatagramPort {
  private let network: any MemoryNetwork
  private let address: Address
  private var isClosed = false
  private(set) var counters = SocketCounters()

  init(_ address: Address, on network: any MemoryNetwork) {
    self.address = address
    self.network = network
  }

  var isWritable: Bool { !isClosed }
  var hasUnsent: Bool { false }

  func send(_ batch: borrowing DatagramBatch) {
    batch.bytes.withUnsafeBytes { bytes in
      for run in batch.runs {
        run.forEachPiece(segmenting: false) { range in
          counters.writes += 1
          network.send(Array(bytes[range]), from: address, to: run.address)
        }
      }
    }
  }

  func close(_ completion: @escaping @Sendable () -> Void) {
    isClosed = true
    network.closed(address)
    completion()
  }
}

extension UDPEndpoint {
  /// Makes an endpoint of one shard on a network in memory.
  ///
  /// - Parameters:
  ///   - address: The endpoint's address.
  ///   - network: Carries its datagrams.
  ///   - eventLoop: Runs the endpoint, and has its clock.
  ///   - configuration: The static key, the crypto provider, and the protocol's settings.
  ///   - store: The ratchet store.
  ///   - options: Buffers and limits of the transport.
  ///   - resolver: Resolves names.
  ///   - logger: The endpoint's logger; nil for none.
  /// - Returns: The endpoint, and the receiver of datagrams for it.
  /// - Throws: ``UDPError/invalidAddress(_:reason:)`` or ``UDPError/configuration(_:)``.
  package static func bind(
    to address: SocketAddress, on network: any MemoryNetwork, eventLoop: any EventLoop,
    configuration: EndpointConfiguration, store: any RatchetStore, options: UDPOptions, resolver: NameResolver,
    logger: Logger?
  ) async throws(UDPError) -> (endpoint: UDPEndpoint, receiver: MemoryReceiver) {
    guard let name = Address(address) else { throw .invalidAddress("\(address)", reason: "an IP address is needed") }
    var environment = EndpointEnvironment()
    environment.resolver = resolver
    environment.log = logger.map { EndpointLog($0) }
    environment.probes = false
    let mailboxes = EndpointMailboxes(options)
    let settled = environment
    do {
      let (shard, receiver) = try await eventLoop.submit {
        let driver = try Driver(
          configuration, store: store, options: options, mailboxes: mailboxes, environment: settled,
          eventLoop: eventLoop)
        driver.portOpened(MemoryPort(name, on: network), localAddress: address)
        return (ShardHandle(driver), MemoryReceiver(driver.bound, on: eventLoop))
      }.get()
      environment.log?.bound(address, key: shard.publicKey, shards: 1)
      let handle = EndpointHandle(
        [shard], mailboxes: mailboxes, directory: PeerDirectory(), environment: environment, localAddress: address)
      return (try await UDPEndpoint(handle), receiver)
    } catch let error as UDPError {
      throw error
    } catch let error as ConfigurationError {
      throw .configuration(error)
    } catch {
      throw .bindFailed(host: address.ipAddress ?? "", port: address.port ?? 0, reason: .other("\(error)"))
    }
  }
}
