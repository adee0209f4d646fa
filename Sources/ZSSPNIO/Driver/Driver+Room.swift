// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// Callers that wait until the socket takes more.
///
/// The socket is what they wait for, so they are registered with nothing else: a session that ends
/// meanwhile, or a queue that is emptied without them, cannot keep them waiting.
///
/// | resumed when | by |
/// |---|---|
/// | the socket can be written to again | ``Driver/portHasRoom()``, called by the port |
/// | another socket replaces it | the same, called by ``Driver/portOpened(_:localAddress:)`` |
/// | the endpoint closes, also because no socket could be bound | ``Driver/close(_:)`` |
struct RoomWaiters {
  private var waiting: [@Sendable () -> Void] = []
  /// Whether the queue of messages went first when there was room last.
  private var queueWentFirst = false

  var isEmpty: Bool { waiting.isEmpty }

  mutating func append(_ resume: @escaping @Sendable () -> Void) { waiting.append(resume) }

  /// Takes out everything.
  mutating func takeAll() -> [@Sendable () -> Void] {
    defer { waiting = [] }
    return waiting
  }

  /// Decides who uses the room that there is now: those who wait, or the queue of messages. They
  /// take turns, since either may fill the socket each time.
  mutating func goFirst() -> Bool {
    guard !waiting.isEmpty else { return false }
    defer { queueWentFirst.toggle() }
    return queueWentFirst
  }
}

/// Room in the socket.
extension Driver {
  /// Calls `resume` once, in a turn of the event loop of its own, when the socket takes more or the
  /// endpoint is closed. To be called on the event loop.
  func whenRoom(_ resume: @escaping @Sendable () -> Void) {
    roomWaiters.append(resume)
    if isClosed || socket.port?.isWritable == true { resumeRoomWaitersLater() }
  }

  /// The socket takes more than before. Ports call this, perhaps while they send.
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

  /// Has those who wait for room resumed in the next turn of the event loop.
  func resumeRoomWaitersLater() {
    let bound = bound
    eventLoop.execute { bound.value.resumeRoomWaiters() }
  }

  private func resumeRoomWaiters() {
    // Whoever was faster may have filled the socket again. Then it tells again.
    guard isClosed || socket.port?.isWritable == true else { return }
    for resume in roomWaiters.takeAll() { resume() }
  }
}
