// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import ZSSP

/// A connection of a client: one request, one response, the end. Used on the server's event loop
/// only.
///
/// | state | waits for | at the latest | next |
/// |---|---|---|---|
/// | waiting | the request's head and end | `patience` | answering, or answered with an error |
/// | answering | the metrics | `patience` | answered |
/// | answered | the client to close | `patience` | closed |
final class MetricsConnection: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private enum State {
    case waiting(HTTPRequestHead?)
    case answering
    case answered
  }

  private let connections: ConnectionTable
  private let content: SharedContent
  private let patience: TimeAmount
  private var state = State.waiting(nil)
  private var deadline: Scheduled<Void>?

  private init(_ limits: MetricsServer.Limits, connections: ConnectionTable, content: SharedContent) {
    self.connections = connections
    self.content = content
    patience = .nanoseconds(limits.patience.nanoseconds)
  }

  /// Adds the handlers of a connection. Must be called on the channel's event loop.
  static func configure(
    _ channel: any Channel, limits: MetricsServer.Limits, connections: ConnectionTable, content: SharedContent
  ) throws {
    let connection = MetricsConnection(limits, connections: connections, content: content)
    let pipeline = channel.pipeline.syncOperations
    try pipeline.addHandlers([
      HTTPResponseEncoder(), RequestBound(limits.requestBytes),
      ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)), connection,
    ])
  }

  /// True while the metrics of a complete request are gathered.
  var isAnswering: Bool { if case .answering = state { true } else { false } }

  // MARK: The channel

  func channelActive(context: ChannelHandlerContext) {
    guard connections.admit(self, on: context.channel) else { return context.close(promise: nil) }
    setDeadline(context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    deadline?.cancel()
    connections.remove(self)
    context.fireChannelInactive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .waiting(let head) = state else { return }
    switch unwrapInboundIn(data) {
    case .head(let head):
      state = .waiting(head)
      // A body that is announced is not waited for.
      if Self.hasBody(head) { respond(.payloadTooLarge, text: "a request has no body", to: head, in: context) }
    case .body: respond(.payloadTooLarge, text: "a request has no body", to: head, in: context)
    case .end: if let head { answer(head, in: context) }
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
    // A client that has sent its request may close its side, and still read the response.
    if !isAnswering { context.close(promise: nil) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error {
    case is RequestTooLarge:
      if isWaiting { respond(.requestHeaderFieldsTooLarge, text: "\(error)", to: nil, in: context) }
    case is HTTPParserError, is ByteToMessageDecoderError:
      // What follows a request is not answered.
      if isWaiting { respond(.badRequest, text: "this is no HTTP request", to: nil, in: context) }
    default: context.close(promise: nil)
    }
  }

  private var isWaiting: Bool { if case .waiting = state { true } else { false } }

  /// Closes the connection unless it makes progress in time.
  private func setDeadline(_ context: ChannelHandlerContext) {
    deadline?.cancel()
    deadline = context.eventLoop.assumeIsolated().scheduleTask(in: patience) { context.close(promise: nil) }
  }

  // MARK: Responses

  private func answer(_ head: HTTPRequestHead, in context: ChannelHandlerContext) {
    guard let target = RequestTarget(head) else {
      return respond(.badRequest, text: "the header Host must name one host", to: head, in: context)
    }
    guard target.isLoopback || !isOnLoopback(context) else {
      return respond(.misdirectedRequest, text: "the header Host must name this host", to: head, in: context)
    }
    guard target.path == "/metrics" || target.path == "/healthz" else {
      return respond(.notFound, text: "there are /metrics and /healthz", to: head, in: context)
    }
    guard head.method == .GET || head.method == .HEAD else {
      return respond(
        .methodNotAllowed, text: "only GET and HEAD are allowed", to: head, headers: [("Allow", "GET, HEAD")],
        in: context)
    }
    state = .answering
    setDeadline(context)
    let isHealth = target.path == "/healthz"
    let format = MetricsFormat(accept: head.headers["Accept"])
    let content = content
    let bound = NIOLoopBound((connection: self, context: context), eventLoop: context.eventLoop)
    let eventLoop = context.eventLoop
    Task {
      let families = await content.families()
      let text = isHealth ? nil : families.map { Exposition.text(of: $0, as: format) }
      eventLoop.execute {
        let (connection, context) = bound.value
        guard connection.isAnswering, context.channel.isActive else { return }
        if families == nil {
          connection.respond(.serviceUnavailable, text: "there are no metrics now", to: head, in: context)
        } else {
          connection.respond(
            .ok, text: text ?? "ok\n", to: head, type: text == nil ? nil : format.contentType, in: context)
        }
      }
    }
  }

  /// Returns true if a request announces a body, of which 0 bytes are none (RFC 9112, section 6).
  private static func hasBody(_ head: HTTPRequestHead) -> Bool {
    head.headers.contains(name: "Transfer-Encoding")
      || head.headers["Content-Length"].contains { $0.contains { $0 != "0" } }
  }

  /// Returns true for a request to a loopback address. There the name must be one of this host: a
  /// web page whose name leads there must not read the metrics with the browser of this host.
  private func isOnLoopback(_ context: ChannelHandlerContext) -> Bool {
    context.localAddress?.ipAddress.map(MetricsAddress.isLoopback) ?? false
  }

  private func respond(
    _ status: HTTPResponseStatus, text: String, to head: HTTPRequestHead?, headers more: [(String, String)] = [],
    type: String? = nil, in context: ChannelHandlerContext
  ) {
    state = .answered
    setDeadline(context)
    let text = status == .ok ? text : "\(status.code) \(status.reasonPhrase): \(text)\n"
    var headers = HTTPHeaders(more)
    headers.add(name: "Content-Type", value: type ?? "text/plain; charset=utf-8")
    headers.add(name: "Content-Length", value: "\(text.utf8.count)")
    headers.add(name: "Cache-Control", value: "no-store")
    headers.add(name: "X-Content-Type-Options", value: "nosniff")
    headers.add(name: "Connection", value: "close")
    let response = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
    context.write(wrapOutboundOut(.head(response)), promise: nil)
    if head?.method != .HEAD {
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
    }
    // The client closes next. If this side closed while bytes of the client are unread, the system
    // would take back the response.
    context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
      context.close(mode: .output, promise: nil)
    }
  }
}

/// The error of a request that is too large.
struct RequestTooLarge: Error, CustomStringConvertible {
  let limit: Int
  var description: String { "a request has at most \(limit) bytes" }
}

/// Passes at most so many bytes of a connection on.
final class RequestBound: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  private let limit: Int
  private var rest: Int

  /// Makes a bound of `limit` bytes.
  init(_ limit: Int) {
    self.limit = limit
    rest = limit
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    // What comes after the end of the request, or beyond the limit, is read and dropped.
    guard rest >= 0 else { return }
    rest -= unwrapInboundIn(data).readableBytes
    guard rest < 0 else { return context.fireChannelRead(data) }
    context.fireErrorCaught(RequestTooLarge(limit: limit))
  }
}
