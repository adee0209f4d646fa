// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import Foundation
  import NIOCore
  import NIOPosix
  import Testing
  import ZSSPTestSupport
  import ZSSP

  @testable import ZSSPNIO

  /// Code on the event loop of an endpoint uses it without waiting.
  @Suite(.tags(.slow), .timeLimit(.minutes(20)))
  struct EventLoopUserTests {
    /// A descriptor of one's own is heard of when there is something to read, while that is wanted.
    @Test func watchesADescriptor() async throws {
      let pipe = Pipe()
      let descriptor = pipe.fileHandleForReading.fileDescriptor
      let eventLoop = EpollEventLoopGroup.singleton.next()
      let (calls, continuation) = AsyncStream<UInt8>.makeStream()
      let watch = try await eventLoop.submit {
        let watch = try DescriptorWatch(descriptor: descriptor, on: eventLoop) {
          var byte = 0 as UInt8
          if read(descriptor, &byte, 1) == 1 { continuation.yield(byte) }
        }
        return NIOLoopBound(watch, eventLoop: eventLoop)
      }.get()
      var bytes = calls.makeAsyncIterator()
      try pipe.fileHandleForWriting.write(contentsOf: [7])
      #expect(await bytes.next() == 7)
      try await eventLoop.submit { watch.value.isReading = false }.get()
      try pipe.fileHandleForWriting.write(contentsOf: [8])
      try await eventLoop.submit { watch.value.isReading = true }.get()
      #expect(await bytes.next() == 8)
      try await eventLoop.submit { watch.value.end() }.get()
    }

    /// Other event loops have no descriptors to watch.
    @Test func needsASystemEventLoop() {
      let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
      #expect(throws: EventLoopError.unsupportedOperation) {
        _ = try DescriptorWatch(descriptor: 0, on: eventLoop) {}
      }
    }

    /// Messages that are sent on the session's event loop leave at once, in order.
    @Test func sendsAtOnce() async throws {
      let pair = try await Pair.connected()
      let session = pair.clientSession
      let isSent = try await session.eventLoop.submit {
        try session.sendMessagesNow { run throws(SendError) in
          for number in 0..<100 { try run.append([UInt8(number)].span.bytes) }
        }
      }.get()
      #expect(isSent)
      var messages = pair.serverSession.messages.makeAsyncIterator()
      for number in 0..<100 { #expect(await messages.next() == [UInt8(number)]) }
      await session.close()
      await #expect(throws: UDPError.self) {
        _ = try await session.eventLoop.submit { try session.sendMessagesNow { _ in } }.get()
      }
      await pair.close()
    }
  }
#endif
