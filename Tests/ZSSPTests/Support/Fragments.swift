// SPDX-License-Identifier: Apache-2.0

@testable import ZSSP

/// A fragment on its way: a header and what follows it.
struct Fragment: Sendable {
  var header: FragmentHeader
  var payload: [UInt8]

  /// The fragments of `packet`, as section 5 cuts it.
  static func cut(
    _ packet: [UInt8], into count: Int, _ type: PacketType = .data, counter: UInt64 = 1, keyID: UInt32 = 7
  ) -> [Fragment] {
    let plan = FragmentPlan(size: packet.count, count: count)
    return (0..<count).map { number in
      Fragment(
        header: FragmentHeader(
          keyID: KeyID(value: keyID), number: number, count: count, type: type, counter: counter),
        payload: Array(packet[plan.range(number)]))
    }
  }
}

/// The fate of a fragment, for comparisons.
enum Reassembled: Equatable {
  case stored
  case refused(DropReason)
  case complete([UInt8])
  case opened([UInt8])
}

extension HelloReassembly {
  mutating func insert(_ fragment: Fragment, from source: Address, at now: Instant = .milliseconds(0)) -> Reassembled {
    switch insert(fragment.header, payload: fragment.payload.rawBytes, from: source, at: now) {
    case .stored: .stored
    case .refused(let reason): .refused(reason)
    case .complete(let packet): .complete(packet)
    }
  }
}

extension SessionReassembly {
  mutating func insert(
    _ fragment: Fragment, at now: Instant = .milliseconds(0), openedBy stream: () -> (any PacketStream)? = { nil }
  ) -> Reassembled {
    switch insert(fragment.header, payload: fragment.payload.rawBytes, at: now, openedBy: stream) {
    case .stored: .stored
    case .refused(let reason): .refused(reason)
    case .complete(let packet): .complete(packet)
    case .opened(let message, _): .opened(message)
    }
  }
}

/// Every order of `count` things.
func permutations(of count: Int) -> [[Int]] {
  guard count > 0 else { return [[]] }
  return permutations(of: count - 1).flatMap { shorter in
    (0..<count).map { place in Array(shorter[..<place]) + [count - 1] + Array(shorter[place...]) }
  }
}
