// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Foundation

/// Turns SIGINT (Ctrl-C) and SIGTERM into the cancellation of a task.
enum Interruption {
  /// Runs `body`, and cancels it on SIGINT or SIGTERM, or after `limit` seconds.
  ///
  /// - Returns: The result of `body`; nil if it was cancelled here and threw.
  /// - Throws: The error of `body` if it was not cancelled here.
  static func cancelling<Result: Sendable>(
    after limit: Double?, _ body: @escaping @Sendable () async throws -> Result
  ) async throws -> Result? {
    // The handlers are installed before the body prints anything that could lead to a signal.
    let interruptions = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    var sources: [any DispatchSourceSignal] = []
    for number in [SIGINT, SIGTERM] {
      sources.append(await source(of: number) { interruptions.continuation.yield() })
    }
    let task = Task { try await body() }
    let watcher = Task {
      for await _ in interruptions.stream { task.cancel() }
    }
    let timer = limit.map { limit in
      Task {
        try await Task.sleep(for: .seconds(limit))
        task.cancel()
      }
    }
    defer {
      timer?.cancel()
      watcher.cancel()
      sources.forEach { $0.cancel() }
    }
    do {
      return try await task.value
    } catch {
      if task.isCancelled { return nil }
      throw error
    }
  }
}

extension Interruption {
  /// Handles a signal from now on. The stream has an element for each signal; several signals may
  /// be merged.
  static func signals(_ number: Int32) async -> AsyncStream<Void> {
    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    // A source can be cancelled on any thread.
    nonisolated(unsafe) let source = await source(of: number) { continuation.yield() }
    continuation.onTermination = { _ in source.cancel() }
    return stream
  }

  /// Handles a signal. The handler is installed when this returns. Dispatch installs it some time
  /// after `resume()`, and would miss a signal that arrives before.
  private static func source(
    of number: Int32, _ handler: @escaping @Sendable () -> Void
  ) async -> any DispatchSourceSignal {
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number)
    source.setEventHandler(handler: handler)
    await withCheckedContinuation { continuation in
      source.setRegistrationHandler { continuation.resume() }
      source.resume()
    }
    return source
  }
}

/// Lines of standard input, read on a separate thread, because reading blocks.
enum StandardInput {
  /// The number of lines that are read ahead.
  private static let readAhead = 256

  /// The lines without their ends. The sequence finishes at the end of input.
  static var lines: some AsyncSequence<String, Never> {
    // Starts at 0, because a semaphore must not be released with a smaller value than its initial
    // one, and not all lines may be taken.
    let room = DispatchSemaphore(value: 0)
    for _ in 0..<readAhead { room.signal() }
    let stream = AsyncStream<String>(bufferingPolicy: .unbounded) { continuation in
      let thread = Thread {
        while let line = readLine() {
          room.wait()
          continuation.yield(line)
        }
        continuation.finish()
      }
      thread.start()
    }
    return stream.map { line in
      room.signal()
      return line
    }
  }
}
