// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A number that one thread counts up and another reads.
final class SharedCount: Sendable {
  private let count = Atomic<Int>(0)

  var value: Int { count.load(ordering: .relaxed) }

  func add(_ number: Int) { count.add(number, ordering: .relaxed) }

  /// How long nothing may come.
  private static let patience = Duration.seconds(10)

  /// By how much the number goes up a second while `during` runs, from when it goes up at all, and until it has.
  func rate(during: () async throws -> Void) async throws -> Double {
    try await wait(for: 1)
    let clock = ContinuousClock()
    let (start, before) = (clock.now, value)
    repeat { try await during() } while value == before && clock.now - start < Self.patience
    return Double(value - before) / ((clock.now - start) / .seconds(1))
  }

  /// Waits until the number is `least` higher.
  func wait(for least: Int) async throws {
    let (wanted, start) = (value + least, ContinuousClock.now)
    while value < wanted {
      guard ContinuousClock.now - start < Self.patience else {
        throw EndpointLink.Broken(description: "nothing arrived for \(Self.patience)")
      }
      try await Task.sleep(for: .milliseconds(1))
    }
  }
}

/// Tells threads that it is over.
final class SharedFlag: Sendable {
  private let flag = Atomic<Bool>(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }

  func set() { flag.store(true, ordering: .relaxed) }
}
