// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Foundation

/// Ctrl-C and the polite signal of service managers, as the cancellation of a task.
enum Interruption {
  /// Runs `body`, and cancels it when SIGINT or SIGTERM comes or `limit` seconds have passed.
  ///
  /// - Returns: what `body` returned; nil if it was cancelled from here and left with an error because of it.
  static func cancelling<Result: Sendable>(
    after limit: Double?, _ body: @escaping @Sendable () async throws -> Result
  ) async throws -> Result? {
    // The signals are caught before the body says anything that could make somebody send one.
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
  /// Catches a signal from now on. Each time it comes there is an element; several that come at once may be one.
  static func signals(_ number: Int32) async -> AsyncStream<Void> {
    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    // A source may be cancelled on any thread.
    nonisolated(unsafe) let source = await source(of: number) { continuation.yield() }
    continuation.onTermination = { _ in source.cancel() }
    return stream
  }

  /// Catches a signal. It is caught when this returns: dispatch installs its handler some time after a source is
  /// resumed, and a signal that comes before would be ignored.
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

/// Lines of standard input, read on a thread of their own, since reading blocks.
enum StandardInput {
  /// So many lines are read ahead of whoever takes them.
  private static let readAhead = 256

  /// The lines, without their ends. Finishes at the end of input.
  static var lines: some AsyncSequence<String, Never> {
    // A semaphore must not end below the value that it was made with, and this one may: its lines need not all be taken.
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
