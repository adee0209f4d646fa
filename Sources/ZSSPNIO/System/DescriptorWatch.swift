// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  package import NIOCore

  /// A descriptor of somebody else's on one of the event loops that endpoints run on, so that what is read from it and what
  /// sessions bring can be dealt with on one thread. To be used on that event loop.
  package final class DescriptorWatch {
    private let descriptor: CInt
    private let eventLoop: SystemEventLoop
    private var watch: SystemEventLoop.Watch?

    /// Calls `handler` while there is something to read.
    ///
    /// - Parameters:
    ///   - descriptor: a non-blocking descriptor, which must stay open until ``end()``.
    ///   - eventLoop: one of a ``SystemEventLoopGroup``.
    /// - Throws: `IOError` if the system cannot watch it, or `EventLoopError.unsupportedOperation` on another event loop.
    package init(descriptor: CInt, on eventLoop: any EventLoop, _ handler: @escaping () -> Void) throws {
      guard let eventLoop = eventLoop as? SystemEventLoop else { throw EventLoopError.unsupportedOperation }
      self.descriptor = descriptor
      self.eventLoop = eventLoop
      watch = try eventLoop.watch(descriptor: descriptor) { readiness in
        if readiness.can_read { handler() }
      }
    }

    /// Whether `handler` is called. Who cannot take more sets this to false and leaves what there is to the system.
    package var isReading = true {
      didSet {
        if let watch, isReading != oldValue { eventLoop.change(watch, reading: isReading) }
      }
    }

    /// The handler is not called any more, and let go of.
    package func end() {
      if let watch = watch.take() { eventLoop.end(watch) }
    }
  }
#endif
