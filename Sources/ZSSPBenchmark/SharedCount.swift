// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A number that one thread increments and another reads.
final class SharedCount: Sendable {
  private let count = Atomic<Int>(0)

  var value: Int { count.load(ordering: .relaxed) }

  func add(_ number: Int) { count.add(number, ordering: .relaxed) }

  /// The maximum time without a change.
  private static let patience = Duration.seconds(10)

  /// Returns the increase per second while `during` runs. Waits for the first change, and repeats
  /// `during` until another.
  ///
  /// - Throws: ``EndpointLink/Broken`` if the number does not change.
  func rate(during: () async throws -> Void) async throws -> Double {
    try await wait(for: 1)
    let clock = ContinuousClock()
    let start = clock.now
    let before = value
    repeat { try await during() } while value == before && clock.now - start < Self.patience
    return Double(value - before) / ((clock.now - start) / .seconds(1))
  }

  /// Waits until the number has increased by `least`.
  ///
  /// - Throws: ``EndpointLink/Broken`` after ten seconds without that.
  func wait(for least: Int) async throws {
    let wanted = value + least
    let start = ContinuousClock.now
    while value < wanted {
      guard ContinuousClock.now - start < Self.patience else {
        throw EndpointLink.Broken(description: "nothing arrived for \(Self.patience)")
      }
      try await Task.sleep(for: .milliseconds(1))
    }
  }
}

/// A flag that tells threads to stop.
final class SharedFlag: Sendable {
  private let flag = Atomic<Bool>(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }

  func set() { flag.store(true, ordering: .relaxed) }
}
