// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Something that tasks tell each other once.
final class Flag: Sendable {
  private let value = Atomic(false)

  var isRaised: Bool { value.load(ordering: .sequentiallyConsistent) }

  func raise() { value.store(true, ordering: .sequentiallyConsistent) }
}
