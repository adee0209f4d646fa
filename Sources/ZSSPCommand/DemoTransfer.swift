// SPDX-License-Identifier: Apache-2.0
import Foundation
import ZSSP
import ZSSPNIO

/// Transfers messages between the two peers of the demo, and checks each of them.
enum DemoTransfer {
  /// Round-trip times in microseconds.
  struct RoundTrips: Sendable {
    let count: Int
    let median: Double
    let percentile99: Double
  }

  /// The result of a one-way transfer.
  struct Stream: Sendable {
    let count: Int
    let bytes: Int
    let seconds: Double

    func line(_ name: String, size: Int) -> String {
      String(
        format: "%@   %6d messages of %5d bytes, %.1f MB in %.3f s: %.0f messages/s, %.2f Gbit/s", name, count,
        size, Double(bytes) / 1e6, seconds, Double(count) / seconds, Double(bytes) * 8 / seconds / 1e9)
    }
  }

  /// The time after which a message counts as lost.
  private static let limit = Duration.seconds(120)

  /// Sends messages from `from` to `to` and back, one after another, `count` times.
  static func pingPong(from: Session, to: Session, count: Int, size: Int) async throws -> RoundTrips {
    let times = try await bounded {
      async let echoed: Void = {
        var messages = to.messages.makeAsyncIterator()
        for _ in 0..<count {
          guard let message = await messages.next() else { throw CommandFailure.failed("the session ended") }
          try await to.send(message)
        }
      }()
      let clock = ContinuousClock()
      var messages = from.messages.makeAsyncIterator()
      var times: [Double] = []
      for number in 0..<count {
        let message = Pattern.make(UInt64(number), size: size)
        let start = clock.now
        try await from.send(message)
        guard await messages.next() == message else { throw CommandFailure.failed("an echo was damaged") }
        times.append((clock.now - start) / .microseconds(1))
      }
      try await echoed
      return times.sorted()
    }
    return RoundTrips(count: count, median: times[count / 2], percentile99: times[count * 99 / 100])
  }

  /// Sends `count` messages of `size` bytes. `to` checks and acknowledges them, so that at most a
  /// window of messages is under way and socket buffers never overflow.
  static func stream(from: Session, to: Session, count: Int, size: Int) async throws -> Stream {
    let window = max(2, min(64, 96_000 / size))
    let step = window / 2
    let clock = ContinuousClock()
    let start = clock.now
    try await bounded {
      async let received: Void = {
        var messages = to.messages.makeAsyncIterator()
        for number in 1...count {
          guard let message = await messages.next() else { throw CommandFailure.failed("the session ended") }
          guard message.count == size, Pattern.check(message) != false else {
            throw CommandFailure.failed("message \(number) was damaged")
          }
          if number % step == 0 || number == count { try await to.send(Pattern.make(UInt64(number), size: 16)) }
        }
      }()
      var acknowledgements = from.messages.makeAsyncIterator()
      let payload = Pattern.make(UInt64(size), size: size)
      var sent = 0
      var acknowledged = 0
      while acknowledged < count {
        let batch = min(count - sent, window - (sent - acknowledged))
        if batch > 0 {
          try await from.send(contentsOf: Array(repeating: payload, count: batch))
          sent += batch
        }
        guard let message = await acknowledgements.next() else { throw CommandFailure.failed("the session ended") }
        acknowledged = message.suffix(8).reduce(0) { $0 << 8 | Int($1) }
      }
      try await received
    }
    return Stream(count: count, bytes: count * size, seconds: (clock.now - start) / .seconds(1))
  }

  /// Runs `body` with the time limit.
  private static func bounded<Result: Sendable>(
    _ body: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    do {
      return try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await body() }
        group.addTask {
          try await Task.sleep(for: limit)
          return nil
        }
        defer { group.cancelAll() }
        guard case .some(.some(let result)) = try await group.next() else {
          throw CommandFailure.failed("nothing moved for too long: a message must have been lost")
        }
        return result
      }
    } catch let error as UDPError {
      throw error.commandFailure
    }
  }
}
