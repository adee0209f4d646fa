// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
  import NIOConcurrencyHelpers
  import NIOCore
  import ZSSP
  import ZSSPNIO

  /// A steady stream of messages, each with the time when it was sent.
  struct PacedStream: Sendable {
    /// The result of a run.
    struct Result {
      /// The number of received messages per second.
      let rate: Double
      /// The 99th percentile of the time from sealing to delivery, in nanoseconds.
      let latency: Double
    }

    /// Measures the latency of each message.
    final class Meter: MessageHandler {
      private let latencies = NIOLockedValueBox<[UInt64]>([])
      let received = SharedCount()

      func receive(_ message: RawSpan) {
        let now = NIODeadline.now().uptimeNanoseconds
        let sent = message.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
        latencies.withLockedValue { $0.append(now &- sent) }
        received.add(1)
      }

      func take() -> [UInt64] {
        latencies.withLockedValue { latencies in
          defer { latencies = [] }
          return latencies.sorted()
        }
      }
    }

    /// The size of a message in bytes, at least 8.
    let size: Int
    /// The number of messages per millisecond.
    let burst: Int

    /// Sends for a while, on the sender's event loop, and then waits briefly for messages under
    /// way.
    func run(over link: UDPLink, for duration: Duration) async throws -> Result {
      let meter = Meter()
      try await link.receivingSession.setMessageHandler(meter)
      let clock = ContinuousClock()
      let start = ContinuousClock.now
      let size = size
      let burst = burst
      let session = link.session
      let sending = link.sendingLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(1)) { _ in
        // Messages without room are not sent, which lowers the rate.
        _ = try session.sendMessagesIfRoom(ofBytes: size * burst) { run throws(SendError) in
          try Self.write(burst, of: size, to: &run)
        }
      }
      try await Task.sleep(for: duration)
      // On a busy machine the event loop may not have run yet.
      let failure = await Self.failure(of: { if meter.received.value == 0 { try await meter.received.wait(for: 1) } })
      let stopped = link.sendingLoop.makePromise(of: Void.self)
      sending.cancel(promise: stopped)
      try await stopped.futureResult.get()
      if let failure { throw failure }
      let elapsed = clock.now - start
      try await Task.sleep(for: .milliseconds(20))
      let latencies = meter.take()
      guard !latencies.isEmpty else { throw EndpointLink.Broken(description: "no message arrived") }
      return Result(
        rate: Double(latencies.count) / (elapsed / .seconds(1)), latency: Double(latencies[latencies.count * 99 / 100]))
    }

    private static func failure(of body: () async throws -> Void) async -> (any Error)? {
      do { try await body() } catch { return error }
      return nil
    }

    /// Writes messages that begin with the time.
    private static func write(_ count: Int, of size: Int, to run: inout SendRun) throws(SendError) {
      var message = [UInt8](repeating: 7, count: size)
      let now = NIODeadline.now().uptimeNanoseconds
      message.withUnsafeMutableBytes { $0.storeBytes(of: now, as: UInt64.self) }
      for _ in 0..<count { try run.append(message.span.bytes) }
    }
  }
#endif
