// SPDX-License-Identifier: Apache-2.0

// The descriptions of values that people see in logs and errors.

extension SessionID: CustomStringConvertible {
  /// The index in the table of sessions, and the number of earlier sessions at that index: `12/3`.
  public var description: String { "\(index)/\(generation)" }
}

extension EndReason: CustomStringConvertible {
  /// The reason in words. Programs use `rawValue`.
  public var description: String {
    switch self {
    case .closed: "this side closed it"
    case .closedByPeer: "the peer closed it"
    case .peerSilent: "nothing came from the peer for too long"
    case .rejected: "the peer refused this side"
    case .notConfirmed: "the peer did not confirm the key in time"
    case .rekeyTimeout: "the peer did not answer a re-key in time"
    case .rekeyNotAuthentic: "a re-key was not authentic"
    case .keyExhausted: "the key has been used as often as it may be"
    case .ratchetConflict: "another session with the same peer changed the ratchet state first"
    case .replaced: "a newer session with the same peer took its place"
    }
  }
}

extension RestartReason: CustomStringConvertible {
  /// The reason in words. Programs use `rawValue`.
  public var description: String {
    switch self {
    case .timeout: "no answer in time"
    case .notAuthentic: "the answers are not authentic"
    case .notConfirmed: "the peer answered and did not confirm in time"
    case .ratchetConflict: "another session with the same peer changed the ratchet state first"
    }
  }
}

extension Address: CustomStringConvertible {
  /// The address in its usual form: `192.0.2.1:4500`, `[2001:db8::1]:4500`, `[fe80::1%2]:4500` (RFC
  /// 5952).
  public var description: String {
    switch family {
    case .ipv4: "\((0..<4).map { "\(low >> (24 - 8 * UInt64($0)) & 255)" }.joined(separator: ".")):\(port)"
    case .ipv6: "[\(Self.text(of: groups))\(scope == 0 ? "" : "%\(scope)")]:\(port)"
    }
  }

  /// The eight groups of an IPv6 address.
  private var groups: [UInt64] {
    [high, low].flatMap { half in (0..<4).map { half >> (48 - 16 * UInt64($0)) & 0xFFFF } }
  }

  private static func text(of groups: [UInt64]) -> String {
    // Leaves out the longest run of two or more zeros, the first of several.
    var longest = 0..<0
    var index = 0
    while index < groups.count {
      let run = groups[index...].prefix { $0 == 0 }.count
      if run > longest.count, run > 1 { longest = index..<index + run }
      index += max(1, run)
    }
    func text(_ part: ArraySlice<UInt64>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
    guard !longest.isEmpty else { return text(groups[...]) }
    return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
  }
}
