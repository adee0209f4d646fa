// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Connects a socket's pipeline with the driver. It has no state of its own: a socket that fails is replaced, and the
/// driver goes on with the next one's handler.
final class DatagramHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  typealias OutboundOut = AddressedEnvelope<ByteBuffer>

  private let driver: Driver

  init(_ driver: Driver) { self.driver = driver }

  func channelActive(context: ChannelHandlerContext) { driver.socketOpened(context) }

  func channelInactive(context: ChannelHandlerContext) { driver.socketClosed(context) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { driver.receive(unwrapInboundIn(data)) }

  func channelReadComplete(context: ChannelHandlerContext) { driver.readComplete() }

  func channelWritabilityChanged(context: ChannelHandlerContext) { driver.drainSends() }

  /// A read failed. If the failure is fatal NIO closes the channel, and the driver hears of that.
  func errorCaught(context: ChannelHandlerContext, error: any Error) { driver.socketFailed(error) }
}
