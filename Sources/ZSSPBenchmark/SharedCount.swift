// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A number that one thread counts up and another reads.
final class SharedCount: Sendable {
  private let count = Atomic<Int>(0)

  var value: Int { count.load(ordering: .relaxed) }

  func add(_ number: Int) { count.add(number, ordering: .relaxed) }

  /// By how much the number went up a second while `during` ran.
  func rate(during: () async throws -> Void) async rethrows -> Double {
    let clock = ContinuousClock()
    let (start, before) = (clock.now, value)
    try await during()
    return Double(value - before) / ((clock.now - start) / .seconds(1))
  }
}

/// Tells threads that it is over.
final class SharedFlag: Sendable {
  private let flag = Atomic<Bool>(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }

  func set() { flag.store(true, ordering: .relaxed) }
}
