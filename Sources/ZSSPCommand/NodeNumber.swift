// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ZSSP

/// The number of a responder behind a load balancer, and the number of highest bits of a key id
/// that contain it: `3/8`.
struct NodeNumber: ExpressibleByArgument, Equatable, CustomStringConvertible {
  let number: Int
  let bits: Int

  /// Parses `number/bits`; nil unless the number fits into the bits, which are 1 to 16.
  init?(argument: String) {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let number = UInt16(parts[0]), let bits = Int(parts[1]),
      (1...Settings.largestFixedBits).contains(bits), Int(number) >> bits == 0
    else { return nil }
    self.number = Int(number)
    self.bits = bits
  }

  var description: String { "\(number)/\(bits)" }
}
