// SPDX-License-Identifier: Apache-2.0
public import ZSSP

/// Measures the rate at which a ratchet store does the responder's part of handshakes: for each, a
/// look-up by fingerprint, two loads and a swap in order, for many initiators at once.
public enum StoreBenchmark {
  /// The error for a store that refused a request.
  public struct Refused: Error, CustomStringConvertible {
    /// The refused request.
    public let description: String
  }

  /// Returns how many handshakes per second the store can support.
  ///
  /// - Throws: ``Refused``.
  public static func handshakes(
    _ store: any RatchetStore, initiators: Int, for duration: Duration
  ) async throws -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    let end = start + duration
    let count = try await withThrowingTaskGroup(of: Int.self) { group in
      for initiator in 0..<initiators {
        group.addTask {
          var count = 0
          var held = RatchetPair.empty
          repeat {
            held = try await handshake(store, initiator: initiator, from: held)
            count += 1
          } while clock.now < end
          return count
        }
      }
      return try await group.reduce(0, +)
    }
    return Double(count) / ((clock.now - start) / .seconds(1))
  }

  /// Makes the requests of one handshake, and returns the new state.
  ///
  /// - Throws: ``Refused``.
  private static func handshake(
    _ store: any RatchetStore, initiator: Int, from held: RatchetPair
  ) async throws -> RatchetPair {
    guard let peer = PublicKey([2] + number(initiator, count: 48)) else { throw Refused(description: "a made key") }
    if !held.state1.isEmpty {
      guard case .found = await store.answer(.lookUp(held.state1.fingerprint)) else {
        throw Refused(description: "a look-up")
      }
    }
    guard case .pair = await store.answer(.load(peer: peer)) else { throw Refused(description: "a load") }
    // An initiator of an earlier round finds the state that it left.
    guard case .pair(let current, _) = await store.answer(.load(peer: peer)) else {
      throw Refused(description: "a load")
    }
    let length = current.state1.chainLength + 1
    let name = number(initiator, count: 16) + number(Int(clamping: length), count: 16)
    let new = RatchetPair(
      RatchetState(
        key: Secret(copying: name.rawBytes), fingerprint: Fingerprint(name.rawBytes), chainLength: length))
    guard case .swapped = await store.answer(.compareAndSwap(peer: peer, expected: current, new: new)) else {
      throw Refused(description: "a swap")
    }
    return new
  }

  private static func number(_ value: Int, count: Int) -> [UInt8] {
    (0..<count).map { $0 < count - 8 ? 0x77 : UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - $0))) }
  }
}
