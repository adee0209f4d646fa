// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

@testable import ZSSPNIO

/// A socket that does what a test says: it is full or not, and its datagrams go nowhere unless
/// somebody takes them. To be used on its driver's event loop.
final class FakePort: DatagramPort {
  private let driver: any DatagramPortOwner
  private var isFull = false
  private(set) var isClosed = false
  private(set) var sent: [[UInt8]] = []

  init(_ driver: any DatagramPortOwner) { self.driver = driver }

  var isWritable: Bool { !isFull && !isClosed }
  var hasUnsent = false
  let counters = SocketCounters()

  func send(_ batch: borrowing DatagramBatch) {
    batch.bytes.withUnsafeBytes { bytes in
      for run in batch.runs {
        run.forEachPiece(segmenting: false) { range in sent.append(Array(bytes[range])) }
      }
    }
  }

  func close(_ completion: @escaping @Sendable () -> Void) {
    isClosed = true
    completion()
  }

  /// Takes what was sent.
  func takeSent() -> [[UInt8]] {
    defer { sent = [] }
    return sent
  }

  /// Makes the port accept nothing from now on, or accept datagrams again.
  func setFull(_ isFull: Bool) {
    self.isFull = isFull
    driver.portHasRoom()
  }
}

/// Two endpoints on one event loop and a session between them, with nothing in between that is not
/// under control.
final class DriverPair {
  static let serverAddress = Address(ipv4: 0x0A00_0002, port: 2)
  static let clientAddress = Address(ipv4: 0x0A00_0001, port: 1)

  let client: Driver
  let server: Driver
  let clientPort: FakePort
  let serverPort: FakePort
  /// The handles that sessions keep.
  let clientHandle: EndpointHandle
  let serverHandle: EndpointHandle

  /// Makes a pair. Must be called on the event loop.
  init(_ options: UDPOptions = UDPOptions(), eventLoop: any EventLoop) throws {
    func driver() throws -> Driver {
      try Driver(
        makeConfiguration(helloPolicy: .allow), store: VolatileRatchetStore(), options: options,
        mailboxes: EndpointMailboxes(options), eventLoop: eventLoop)
    }
    client = try driver()
    server = try driver()
    clientPort = FakePort(client)
    serverPort = FakePort(server)
    func handle(_ driver: Driver, at address: Address) -> EndpointHandle {
      EndpointHandle(
        [ShardHandle(driver)], mailboxes: driver.mailboxes, directory: PeerDirectory(),
        localAddress: address.socketAddress)
    }
    clientHandle = handle(client, at: Self.clientAddress)
    serverHandle = handle(server, at: Self.serverAddress)
    client.portOpened(clientPort, localAddress: Self.clientAddress.socketAddress)
    server.portOpened(serverPort, localAddress: Self.serverAddress.socketAddress)
  }

  /// Brings each what the other has sent, as one burst each.
  func exchange() {
    Self.bring(clientPort.takeSent(), to: server, from: Self.clientAddress)
    Self.bring(serverPort.takeSent(), to: client, from: Self.serverAddress)
  }

  /// Brings datagrams to a driver, as one burst.
  static func bring(_ datagrams: [[UInt8]], to driver: Driver, from source: Address) {
    for datagram in datagrams { read(datagram, by: driver, from: source) }
    driver.readComplete()
  }

  /// Brings a datagram to a driver in the midst of a burst.
  static func read(_ datagram: [UInt8], by driver: Driver, from source: Address) {
    var bytes = datagram
    bytes.withUnsafeMutableBytes { driver.receive($0, segmentSize: 0, from: source, isSteered: false) }
  }

  /// Connects the two, and returns the session's two ends.
  static func connected(
    _ options: UDPOptions = UDPOptions(), on eventLoop: any EventLoop
  ) async throws -> (pair: NIOLoopBound<DriverPair>, client: Session, server: Session) {
    let (bound, clientHandle, serverHandle) = try await eventLoop.submit {
      let pair = try DriverPair(options, eventLoop: eventLoop)
      return (NIOLoopBound(pair, eventLoop: eventLoop), pair.clientHandle, pair.serverHandle)
    }.get()
    let outcome = SessionOutcome()
    let request = ConnectRequest(
      address: serverAddress, key: serverHandle.publicKey, identity: [], flags: nil, timeout: nil)
    async let opened = clientHandle.session(outcome, on: clientHandle.shards[0], as: .initiator) {
      $0.connect(request, for: outcome)
    }
    let accepting = Task {
      let offer = await serverHandle.mailboxes.incoming.next()
      return try await IncomingSession(offer.unwrapped(), handle: serverHandle).accept()
    }
    let pumping = Task {
      while !Task.isCancelled {
        try await eventLoop.submit { bound.value.exchange() }.get()
        await Task.yield()
      }
    }
    defer { pumping.cancel() }
    let sessions = (try await opened, try await accepting.value)
    while await sessions.1.snapshot()?.state != "S2" { try await Task.sleep(for: .milliseconds(1)) }
    return (bound, sessions.0, sessions.1)
  }
}

/// The error of a missing value.
struct Missing: Error {}

extension Optional {
  /// The value, which must be there.
  func unwrapped() throws -> Wrapped {
    guard let self else { throw Missing() }
    return self
  }
}
