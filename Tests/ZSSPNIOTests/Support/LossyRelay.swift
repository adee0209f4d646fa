// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import NIOConcurrencyHelpers
import Testing
import ZSSPRandom

/// Stands between a client and a server, and loses some of what they say until it is told not to.
final class LossyRelay: Sendable {
  private let channel: any Channel
  private let state: State
  let address: SocketAddress

  private init(_ channel: any Channel, state: State, address: SocketAddress) {
    self.channel = channel
    self.state = state
    self.address = address
  }

  /// A relay to `server` that loses this part of the datagrams.
  static func start(to server: SocketAddress, loss: Double, seed: UInt64) async throws -> LossyRelay {
    let state = State(loss: loss)
    let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 1 << 16))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Handler(server: server, state, seed: seed))
        }
      }
      .bind(host: server.ipAddress ?? "127.0.0.1", port: 0).get()
    return LossyRelay(channel, state: state, address: try #require(channel.localAddress))
  }

  /// The number of lost datagrams.
  var dropped: Int { state.dropped.withLockedValue { $0 } }

  /// Loses nothing from now on.
  func stopLosing() { state.loss.withLockedValue { $0 = 0 } }

  func close() async { try? await channel.close() }

  /// The state that the handler and the relay's owner share.
  private final class State: Sendable {
    let loss: NIOLockedValueBox<Double>
    let dropped = NIOLockedValueBox(0)

    init(loss: Double) { self.loss = NIOLockedValueBox(loss) }
  }

  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let server: SocketAddress
    private let state: State
    private var client: SocketAddress?
    private var generator: SplitMix64

    init(server: SocketAddress, _ state: State, seed: UInt64) {
      self.server = server
      self.state = state
      generator = SplitMix64(seed: seed)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let envelope = unwrapInboundIn(data)
      // A probe of the network, from a port of its own.
      guard envelope.data.readableBytes > 0 else { return }
      if envelope.remoteAddress != server { client = envelope.remoteAddress }
      guard let target = envelope.remoteAddress == server ? client : server else { return }
      if Double.random(in: 0..<1, using: &generator) < state.loss.withLockedValue({ $0 }) {
        state.dropped.withLockedValue { $0 += 1 }
      } else {
        context.write(wrapOutboundOut(AddressedEnvelope(remoteAddress: target, data: envelope.data)), promise: nil)
      }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
  }
}
