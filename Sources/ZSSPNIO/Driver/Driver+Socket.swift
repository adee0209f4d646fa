// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ZSSP

/// The socket under the endpoint, and its replacement.
extension Driver: DatagramPortOwner {
  func portOpened(_ port: any DatagramPort, localAddress: SocketAddress?) {
    guard !isClosed else { return port.close {} }
    socket.open(port, localAddress: localAddress, at: now)
    portHasRoom()
  }

  func portClosed(_ port: any DatagramPort) {
    guard let next = socket.close(port, at: now), !isClosed else { return }
    environment.log?.socketFailed()
    replaceSocket(next)
  }

  func localIndexesInUse() -> [Bool] { endpoint.localIndexesInUse() }

  func keep(_ segments: RefusedSegments) { if !isClosed { socket.keep(segments) } }

  func takeRefusedSegments() -> [RefusedSegments] { socket.takeRefusedSegments() }

  private func replaceSocket(_ next: SocketLife.Next) {
    switch next {
    case .fail(let reason): close(.transport(reason))
    case .bind(let address, let pause):
      let bound = bound
      eventLoop.scheduleTask(in: .nanoseconds(pause.nanoseconds)) { bound.value.bindAgain(to: address) }
    }
  }

  private func bindAgain(to address: SocketAddress) {
    guard !isClosed, socket.port == nil else { return }
    let maySegment = socket.maySegment
    socket.willBind()
    let sharing = siblings.map { _ in ChannelPort.Sharing(joins: true) }
    ChannelPort.bind(to: address, for: self, maySegment: maySegment, options, on: eventLoop, sharing: sharing)
      .assumeIsolated().whenFailure { [self] error in
        if !isClosed { replaceSocket(socket.bindFailed(error)) }
      }
  }
}
