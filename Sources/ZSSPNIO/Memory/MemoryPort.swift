// SPDX-License-Identifier: Apache-2.0
package import Logging
package import NIOCore
package import ZSSP

/// Carries the datagrams of endpoints that have no socket, for tests.
package protocol MemoryNetwork: AnyObject, Sendable {
  /// An endpoint sends a datagram. Called on its event loop.
  func send(_ datagram: [UInt8], from source: Address, to target: Address)

  /// The endpoint of this address is closed. Called on its event loop.
  func closed(_ address: Address)
}

/// Takes datagrams to an endpoint that has no socket.
package struct MemoryReceiver: Sendable {
  private let driver: NIOLoopBound<Driver>
  private let eventLoop: any EventLoop

  fileprivate init(_ driver: NIOLoopBound<Driver>, _ eventLoop: any EventLoop) {
    self.driver = driver
    self.eventLoop = eventLoop
  }

  /// Has the endpoint receive a datagram, in a turn of its event loop of its own.
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

  /// Whether nothing that the endpoint has asked for is under way: no public-key work, no request to the store. To be
  /// called on the event loop.
  package var isIdle: Bool {
    driver.value.publicKeyExecutor.inFlight == 0 && driver.value.storeExecutor.inFlight == 0
  }
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
  ///   - address: where it is.
  ///   - network: takes its datagrams.
  ///   - eventLoop: runs it. Its clock is the endpoint's.
  ///   - configuration: the static key, the crypto provider, and the protocol's settings.
  ///   - store: where ratchet states are kept.
  ///   - options: buffers and limits of the transport.
  ///   - resolver: looks names up for it.
  ///   - logger: where it logs.
  /// - Returns: the endpoint, and what takes datagrams to it.
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
    let (mailboxes, settled) = (EndpointMailboxes(options), environment)
    do {
      let (shard, receiver) = try await eventLoop.submit {
        let driver = try Driver(
          configuration, store: store, options: options, mailboxes: mailboxes, environment: settled,
          eventLoop: eventLoop)
        driver.portOpened(MemoryPort(name, on: network), localAddress: address)
        return (ShardHandle(driver), MemoryReceiver(driver.bound, eventLoop))
      }.get()
      environment.log?.bound(address, shard.publicKey, shards: 1)
      let handle = EndpointHandle([shard], mailboxes, PeerDirectory(), environment, localAddress: address)
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
