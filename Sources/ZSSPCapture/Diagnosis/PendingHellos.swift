// SPDX-License-Identifier: Apache-2.0
import ZSSP

/// The Hellos that wait for an answer, by the key id that the answer has: a bounded number of them.
struct PendingHellos {
  static let capacity = 4096

  private var hellos: [UInt32: (source: Address, destination: Address)] = [:]
  private var order: [UInt32] = []
  private var next = 0

  /// Adds a Hello.
  mutating func add(_ keyID: KeyID, from source: Address, to destination: Address) {
    guard hellos.updateValue((source, destination), forKey: keyID.value) == nil else { return }
    if order.count < Self.capacity {
      order.append(keyID.value)
    } else {
      hellos[order[next]] = nil
      order[next] = keyID.value
      next = (next + 1) % Self.capacity
    }
  }

  /// Returns true if a datagram with this key id answers a Hello from `destination`.
  func isAnswer(_ keyID: KeyID, to destination: Address) -> Bool { hellos[keyID.value]?.source == destination }

  /// Returns the address that was asked by a Hello; nil if there was none from `source` with this
  /// key id.
  func asked(_ keyID: KeyID, by source: Address) -> Address? {
    guard let hello = hellos[keyID.value], hello.source == source else { return nil }
    return hello.destination
  }
}
