// SPDX-License-Identifier: Apache-2.0

/// The routing table for the routes to peers.
public enum RoutingTable: Sendable, Hashable {
  /// The main table. Default routes go to a table of their own, which the tunnel's own datagrams
  /// bypass by their mark.
  case auto
  /// The main table. A default route becomes two halves, and endpoints get routes around the
  /// tunnel.
  case main
  /// No table: no routes are made.
  case off
  /// This table, 1 to 2^32 - 1. The administrator makes the rules that lead to it.
  case number(UInt32)

  /// The tables that the system itself uses: main, for which there is a word, and local.
  private static let systemTables: [UInt32] = [254, 255]

  /// Parses `auto`, `main`, `off` or a number; nil for anything else, and for the system's tables.
  public init?(_ text: String) {
    switch text {
    case "auto": self = .auto
    case "main": self = .main
    case "off": self = .off
    default:
      guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt32(text), number > 0,
        !Self.systemTables.contains(number)
      else {
        return nil
      }
      self = .number(number)
    }
  }

  /// Returns true if the route to a prefix would lead packets for an endpoint in it into the
  /// tunnel, including those of the tunnel itself.
  func covers(_ prefix: IPPrefix) -> Bool {
    switch self {
    case .main: true
    case .auto: prefix.length > 0
    case .off, .number: false
    }
  }
}
