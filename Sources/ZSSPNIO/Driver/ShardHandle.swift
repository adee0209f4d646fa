// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Access to the event loop of one shard, from any thread.
struct ShardHandle: Sendable {
  let index: Int
  let eventLoop: any EventLoop
  let publicKey: PublicKey
  let largestMessage: Int
  let settings: Settings
  let options: UDPOptions
  let sendQueue: SendQueue
  /// Datagrams for this shard that other shards received.
  let handOvers = CrossShardQueue()
  /// Succeeds when the shard is closed; fails when its socket failed permanently.
  let closed: EventLoopFuture<Void>
  private let driver: NIOLoopBound<Driver>

  /// Makes the handle of a driver. Must be called on the event loop.
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

  /// The driver. Use on its event loop only.
  var current: Driver { driver.value }

  /// Runs `body` on the event loop, after everything requested before.
  func tell(_ body: @escaping @Sendable (Driver) -> Void) {
    let driver = driver
    eventLoop.execute { body(driver.value) }
  }

  /// Runs `body` on the event loop and returns its result; nil if the event loop has shut down.
  @discardableResult
  func ask<Value: Sendable>(_ body: @escaping @Sendable (Driver) -> Value) async -> Value? {
    let driver = driver
    return try? await eventLoop.submit { body(driver.value) }.get()
  }

  /// Ends a session after its queued messages.
  func close(_ id: SessionID) async {
    let driver = driver
    // This fails if the event loop has shut down, and the session with it.
    try? await eventLoop.flatSubmit { driver.value.closeWhenSent(id) }.get()
  }
}
