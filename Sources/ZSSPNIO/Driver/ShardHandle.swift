// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// The ways to the event loop of one shard.
struct ShardHandle: Sendable {
  let index: Int
  let eventLoop: any EventLoop
  let publicKey: PublicKey
  let largestMessage: Int
  let settings: Settings
  let options: UDPOptions
  let sendQueue: SendQueue
  /// Datagrams for this shard that came to others.
  let handOvers = HandOverQueue()
  /// Succeeds when the shard is closed; fails when its socket failed for good.
  let closed: EventLoopFuture<Void>
  private let driver: NIOLoopBound<Driver>

  /// To be made on the event loop.
  init(_ driver: Driver) {
    index = driver.shard
    eventLoop = driver.eventLoop
    publicKey = driver.endpoint.publicKey
    settings = driver.endpoint.configuration.settings
    options = driver.options
    largestMessage = settings.largestMessage
    sendQueue = driver.sendQueue
    closed = driver.closedPromise.futureResult
    self.driver = driver.bound
  }

  /// The driver, for those who are on its event loop.
  var current: Driver { driver.value }

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

  /// Ends a session after what was queued for it.
  func close(_ id: SessionID) async {
    let driver = driver
    // It fails if the event loop is gone, and the session with it.
    try? await eventLoop.flatSubmit { driver.value.closeWhenSent(id) }.get()
  }
}
