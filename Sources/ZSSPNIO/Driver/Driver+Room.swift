// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Callers that wait until the socket can take more.
///
/// They wait for the socket only. So a session that ends meanwhile, or a queue that is emptied
/// without them, cannot keep them waiting.
///
/// | resumed when | by |
/// |---|---|
/// | the socket can be written to again | ``Driver/portHasRoom()``, called by the port |
/// | another socket replaces it | the same, called by ``Driver/portOpened(_:localAddress:)`` |
/// | the endpoint closes, also because no socket could be bound | ``Driver/close(_:)`` |
struct RoomWaiters {
  private var waiting: [@Sendable () -> Void] = []
  /// True if the message queue used the room first last time.
  private var queueWentFirst = false

  var isEmpty: Bool { waiting.isEmpty }

  mutating func append(_ resume: @escaping @Sendable () -> Void) { waiting.append(resume) }

  /// Removes and returns all callbacks.
  mutating func takeAll() -> [@Sendable () -> Void] {
    defer { waiting = [] }
    return waiting
  }

  /// Returns true if waiting callers use the free room before the message queue. They alternate,
  /// since either may fill the socket each time.
  mutating func goFirst() -> Bool {
    guard !waiting.isEmpty else { return false }
    defer { queueWentFirst.toggle() }
    return queueWentFirst
  }
}

/// Room in the socket.
extension Driver {
  /// Calls `resume` once, in its own turn of the event loop, when the socket takes more or the
  /// endpoint is closed. Must be called on the event loop.
  func whenRoom(_ resume: @escaping @Sendable () -> Void) {
    roomWaiters.append(resume)
    if isClosed || socket.port?.isWritable == true { resumeRoomWaitersLater() }
  }

  /// Called by ports when the socket takes more than before, perhaps while they send.
  func portHasRoom() {
    guard socket.port?.isWritable == true else { return }
    guard roomWaiters.goFirst() else {
      drainSends()
      if !roomWaiters.isEmpty { resumeRoomWaitersLater() }
      return
    }
    let bound = bound
    eventLoop.execute {
      bound.value.resumeRoomWaiters()
      bound.value.drainSends()
    }
  }

  /// Schedules ``resumeRoomWaiters()`` for the next turn of the event loop.
  func resumeRoomWaitersLater() {
    let bound = bound
    eventLoop.execute { bound.value.resumeRoomWaiters() }
  }

  private func resumeRoomWaiters() {
    // The socket may be full again already. Then the port calls again when it has room.
    guard isClosed || socket.port?.isWritable == true else { return }
    for resume in roomWaiters.takeAll() { resume() }
  }
}
