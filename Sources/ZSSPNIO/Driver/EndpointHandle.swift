// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOConcurrencyHelpers
import ZSSP

/// What tasks hold of an endpoint: the ways to its event loop. When the last of them lets go, the endpoint closes at once.
final class EndpointHandle: Sendable {
  let eventLoop: any EventLoop
  let localAddress: SocketAddress
  let publicKey: PublicKey
  let largestMessage: Int
  let sendQueue: SendQueue
  let incoming: Mailbox<IncomingOffer>
  let downgrades: Mailbox<Downgrade>
  /// Succeeds when the endpoint is closed; fails when its socket failed for good.
  let closed: EventLoopFuture<Void>
  private let driver: NIOLoopBound<Driver>
  private let closing = NIOLockedValueBox(false)

  /// To be made on the event loop, once there is a socket.
  init(_ driver: Driver, localAddress: SocketAddress) {
    eventLoop = driver.eventLoop
    self.localAddress = localAddress
    publicKey = driver.endpoint.publicKey
    largestMessage = driver.endpoint.configuration.settings.largestMessage
    sendQueue = driver.sendQueue
    incoming = driver.incoming
    downgrades = driver.downgrades
    closed = driver.closedPromise.futureResult
    self.driver = NIOLoopBound(driver, eventLoop: driver.eventLoop)
  }

  deinit { if !isClosed { tell { driver in driver.close() } } }

  /// Whether someone has closed the endpoint.
  var isClosed: Bool { closing.withLockedValue { $0 } }

  /// Does something on the event loop, after whatever was asked for before.
  func tell(_ body: @escaping @Sendable (Driver) -> Void) {
    let driver = driver
    eventLoop.execute { body(driver.value) }
  }

  /// Does something on the event loop and waits for what comes of it; nil if the event loop is gone.
  @discardableResult
  func ask<Value: Sendable>(_ body: @escaping @Sendable (Driver) -> Value) async -> Value? {
    let driver = driver
    return try? await eventLoop.submit { body(driver.value) }.get()
  }

  /// Begins an attempt to get a session and waits for its outcome.
  func session(
    _ outcome: SessionOutcome, _ begin: @escaping @Sendable (Driver) -> Void
  ) async throws(UDPError) -> Session {
    guard !isClosed else { throw .closed }
    let result = await withTaskCancellationHandler {
      // The event loop may be told to give up before it is told to begin; the outcome's state shows it.
      tell { driver in
        if !outcome.isResolved { begin(driver) }
      }
      return await outcome.value()
    } onCancel: {
      if outcome.resolve(.failure(.cancelled)) { tell { driver in driver.abandon(outcome) } }
    }
    return Session(try result.get(), self)
  }

  /// Closes the endpoint. Once is enough.
  func close() {
    let isFirst = closing.withLockedValue { closing in
      defer { closing = true }
      return !closing
    }
    if isFirst { tell { driver in driver.closeWhenSent() } }
  }

  /// Ends a session after what was queued for it.
  func close(_ id: SessionID) async {
    let driver = driver
    // It fails if the event loop is gone, and the session with it.
    try? await eventLoop.flatSubmit { driver.value.closeWhenSent(id) }.get()
  }
}
