// SPDX-License-Identifier: Apache-2.0
import Foundation
public import Testing

/// Runs each test of a suite on threads that may block.
///
/// A test that waits for another process blocks its thread. Swift's own pool has one thread per
/// processor: on two of them, two such tests would keep every other test from going on, and one
/// that is waited for by a third could not end.
public struct OwnThreads: SuiteTrait, TestTrait, TestScoping {
  /// True, so that it holds for the suites inside as well.
  public var isRecursive: Bool { true }

  /// Runs one test there.
  public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(Threads(), operation: function)
  }

  /// Threads of Dispatch, which makes more of them when some block.
  private final class Threads: TaskExecutor {
    private let queue = DispatchQueue(label: "tests that block", attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
  }
}

extension Trait where Self == OwnThreads {
  /// The trait that runs each test of the suite on threads that may block.
  public static var ownThreads: Self { OwnThreads() }
}
