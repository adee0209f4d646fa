// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  package import NIOCore

  /// Watches a foreign descriptor on an endpoint's event loop, so that what is read from it and
  /// what sessions receive is processed on one thread. Used on that event loop only.
  package final class DescriptorWatch {
    private let descriptor: CInt
    private let eventLoop: EpollEventLoop
    private var watch: EpollEventLoop.Watch?

    /// Starts calling `handler` on the event loop while the descriptor is readable.
    ///
    /// - Parameters:
    ///   - descriptor: A non-blocking descriptor, which must stay open until ``end()``.
    ///   - eventLoop: An event loop of a ``EpollEventLoopGroup``.
    ///   - handler: Reads from the descriptor.
    /// - Throws: `IOError` if the system cannot watch it, or `EventLoopError.unsupportedOperation`
    ///   on another event loop.
    package init(descriptor: CInt, on eventLoop: any EventLoop, _ handler: @escaping () -> Void) throws {
      guard let eventLoop = eventLoop as? EpollEventLoop else { throw EventLoopError.unsupportedOperation }
      self.descriptor = descriptor
      self.eventLoop = eventLoop
      watch = try eventLoop.watch(descriptor: descriptor) { readiness in
        if readiness.can_read { handler() }
      }
    }

    /// True while `handler` is called. Set it to false to leave unread bytes to the system.
    package var isReading = true {
      didSet {
        if let watch, isReading != oldValue { eventLoop.change(watch, reading: isReading) }
      }
    }

    /// Stops calling the handler, and releases it.
    package func end() {
      if let watch = watch.take() { eventLoop.end(watch) }
    }
  }
#endif
